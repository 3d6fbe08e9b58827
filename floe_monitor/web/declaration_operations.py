"""What can be asked for of one-off maintenance and announcements, as `operations` has it of all else."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from floe_monitor.domain import declaration_json as json
from floe_monitor.web.declaration_request import AnnouncementRequest, MaintenanceRequest
from floe_monitor.web.operation import JSON, Answer, Operation, Parameter, plain_answers

_ID = Parameter("id", str, "As the list has it", required=True)
_BACK = (HTTPStatus.SEE_OTHER, Answer("To the page, for a form", (), ("Location",)))
_BODY = (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.CONFLICT)


def _made(type_: Any) -> tuple[tuple[HTTPStatus, Answer], ...]:
    return ((HTTPStatus.CREATED, Answer("It was declared", ((JSON, type_),))), _BACK)


def _ended(type_: Any) -> tuple[tuple[HTTPStatus, Answer], ...]:
    return (*plain_answers(type_, "It has ended"), _BACK)


DECLARATION_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "get",
        "/api/v1/maintenance",
        "maintenance",
        "One-off maintenance that is planned or in force",
        "maintenance",
        plain_answers(json.MaintenanceListJson),
    ),
    Operation(
        "post",
        "/api/v1/maintenance",
        "declare_maintenance",
        "Declare maintenance of some targets, from now on or later",
        "maintenance",
        _made(json.OneOffMaintenanceJson),
        problems=(*_BODY, HTTPStatus.NOT_FOUND),
        body=MaintenanceRequest,
    ),
    Operation(
        "post",
        "/api/v1/maintenance/{id}/end",
        "end_maintenance",
        "End a one-off maintenance now",
        "maintenance",
        _ended(json.OneOffMaintenanceJson),
        (_ID,),
        (HTTPStatus.NOT_FOUND,),
    ),
    Operation(
        "get",
        "/api/v1/announcements",
        "announcements",
        "Announcements that stand",
        "maintenance",
        plain_answers(json.AnnouncementListJson),
    ),
    Operation(
        "post",
        "/api/v1/announcements",
        "announce",
        "Announce something to whoever looks at the pages",
        "maintenance",
        _made(json.AnnouncementJson),
        problems=_BODY,
        body=AnnouncementRequest,
    ),
    Operation(
        "post",
        "/api/v1/announcements/{id}/end",
        "end_announcement",
        "Take an announcement back",
        "maintenance",
        _ended(json.AnnouncementJson),
        (_ID,),
        (HTTPStatus.NOT_FOUND,),
    ),
)
