from __future__ import annotations

from floe_monitor.registry.problems import Place, Problem, dotted


def test_paths_as_people_write_them() -> None:
    assert dotted(("connection", "attach", 0, "path")) == "connection.attach[0].path"
    assert dotted(()) == ""


def test_a_problem_says_where_what_and_what_to_do() -> None:
    path = ("connection", "attach", 0, "pth")
    problem = Problem(Place("a.yaml", 3, 7), "unknown key", path, "did you mean 'path'?")
    assert str(problem) == "a.yaml:3:7: connection.attach[0].pth: unknown key; did you mean 'path'?"
    assert (problem.file, problem.line, problem.column) == ("a.yaml", 3, 7)
    assert str(Problem(Place("a.yaml"), "bad")) == "a.yaml: bad"


def test_a_problem_without_a_place_yet() -> None:
    problem = Problem(None, "bad", ("connection",))
    assert (str(problem), problem.file, problem.line) == ("connection: bad", "", 0)
