"""A stand-in for the Thrift service behind a warehouse's HTTP path, by which dbt's driver works.

It speaks as much of TCLIService over HTTP as `dbt debug` needs: a session, a statement, which always answers
1, and their end.
"""

from __future__ import annotations

from typing import Any

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TMessageType, TType
from thrift.transport.TTransport import TMemoryBuffer

PROTOCOL = 42244
"""SPARK_CLI_SERVICE_PROTOCOL_V4: the least with which a session can begin in a catalog."""
_SUCCESS, _ERROR = 0, 3
_FINISHED, _EXECUTE, _INT, _COLUMNS = 2, 0, 3, 1

Fields = dict[int, tuple[int, Any]]
"""Of a struct: type and value by the field's number."""


def answer(body: bytes, refusal: str | None = None) -> tuple[str, bytes]:
    """The called method's name, and its answer; `refusal` is what a session's or statement's error says."""
    protocol = TBinaryProtocol(TMemoryBuffer(body))
    name, _, number = protocol.readMessageBegin()
    result = _ANSWERS.get(name, {})
    if refusal is not None and name in {"OpenSession", "ExecuteStatement"}:
        result = {1: (TType.STRUCT, {1: (TType.I32, _ERROR), 5: (TType.STRING, refusal)})}
    out = TMemoryBuffer()
    written = TBinaryProtocol(out)
    written.writeMessageBegin(name, TMessageType.REPLY, number)
    _write_struct(written, {0: (TType.STRUCT, {1: _OK, **result})})
    written.writeMessageEnd()
    return name, bytes(out.getvalue())


def _write_struct(out: TBinaryProtocol, fields: Fields) -> None:
    out.writeStructBegin("")
    for number, (kind, value) in fields.items():
        out.writeFieldBegin("", kind, number)
        _write(out, kind, value)
        out.writeFieldEnd()
    out.writeFieldStop()
    out.writeStructEnd()


def _write(out: TBinaryProtocol, kind: int, value: Any) -> None:
    if kind == TType.STRUCT:
        _write_struct(out, value)
    elif kind == TType.LIST:
        of, values = value
        out.writeListBegin(of, len(values))
        for each in values:
            _write(out, of, each)
        out.writeListEnd()
    elif kind == TType.STRING:
        out.writeBinary(value if isinstance(value, bytes) else value.encode())
    elif kind == TType.BOOL:
        out.writeBool(value)
    elif kind == TType.I64:
        out.writeI64(value)
    else:
        out.writeI32(value)


def _struct(**fields: tuple[int, int, Any]) -> tuple[int, Fields]:
    """By name for the reader's sake alone."""
    return TType.STRUCT, {number: (kind, value) for number, kind, value in fields.values()}


_OK = _struct(statusCode=(1, TType.I32, _SUCCESS))
_HANDLE = _struct(guid=(1, TType.STRING, b"\x01" * 16), secret=(2, TType.STRING, b"\x02" * 16))
_OPERATION = _struct(
    operationId=(1, *_HANDLE), operationType=(2, TType.I32, _EXECUTE), hasResultSet=(3, TType.BOOL, True)
)
_STATUS: Fields = {1: _OK, 2: (TType.I32, _FINISHED)}
_TYPE = _struct(primitiveEntry=(1, *_struct(type=(1, TType.I32, _INT))))
_COLUMN = _struct(
    columnName=(1, TType.STRING, "id"),
    typeDesc=(2, *_struct(types=(1, TType.LIST, (TType.STRUCT, [_TYPE[1]])))),
    position=(3, TType.I32, 1),
)
_METADATA: Fields = {
    1: _OK,
    2: _struct(columns=(1, TType.LIST, (TType.STRUCT, [_COLUMN[1]]))),
    1281: (TType.I32, _COLUMNS),
    1282: (TType.BOOL, False),
}
_VALUES = _struct(values=(1, TType.LIST, (TType.I32, [1])), nulls=(2, TType.STRING, b"\x00"))
_ROWS: Fields = {
    1: _OK,
    2: (TType.BOOL, False),
    3: _struct(
        startRowOffset=(1, TType.I64, 0),
        rows=(2, TType.LIST, (TType.STRUCT, [])),
        columns=(3, TType.LIST, (TType.STRUCT, [{4: _VALUES}])),
    ),
}
_ANSWERS: dict[str, Fields] = {
    "OpenSession": {
        2: (TType.I32, PROTOCOL),
        3: _struct(sessionId=(1, *_HANDLE)),
        1285: (TType.BOOL, True),
    },
    "ExecuteStatement": {
        2: _OPERATION,
        1281: _struct(
            operationStatus=(1, TType.STRUCT, _STATUS),
            resultSetMetadata=(2, TType.STRUCT, _METADATA),
            resultSet=(3, TType.STRUCT, _ROWS),
        ),
    },
    "GetOperationStatus": _STATUS,
    "GetResultSetMetadata": _METADATA,
    "FetchResults": _ROWS,
}
