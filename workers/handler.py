"""A worker's methods: what kind of function each is, what its argument is made from, and which one a request means."""

import inspect
import typing
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final, TypeAlias

import msgspec

from hootbus.frames.errors import HootError, UnknownMethod
from hootbus.schemas import Method, StructType, is_struct_type
from hootbus.schemas.records import is_record_type
from hootbus.schemas.stated import Declared, check_together, proof, stated_method
from hootbus.schemas.structs import declaration_of
from hootbus.workers.request import Request

_ARGUMENTS_MAX: Final = 2


class Kind(Enum):
    """Where and how a handler runs."""

    INLINE = "inline"
    THREAD = "thread"
    TASK = "task"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"


# A handler takes and returns whatever its author has written down.
Function: TypeAlias = Callable[..., Any]
Decode: TypeAlias = Callable[[Request], Any]


class Handler(msgspec.Struct, frozen=True):
    """One method. `arguments` make its positional arguments from a request; `takes`/`returns` are Cap'n Proto types."""

    name: str
    function: Function
    kind: Kind
    arguments: tuple[Decode, ...]
    takes: StructType | None = None
    returns: StructType | None = None
    is_default: bool = False

    def call(self, request: Request) -> Any:  # noqa: ANN401  # what the handler returns
        """Calls the function on what its annotations ask for. Raises BadBody if the body is not that."""
        if request.translated:
            request.translate()
        arguments = self.arguments
        if len(arguments) == 1:
            return self.function(arguments[0](request))
        return self.function(*[decode(request) for decode in arguments])

    def stated(self) -> Method:
        """What a registration says of it."""
        return stated_method(self.name, self.is_default, self.takes, self.returns)


def inspect_handler(
    function: Function,
    *,
    name: str | None,
    inline: bool,
    default: bool,
    types: tuple[StructType | None, StructType | None] | None = None,
) -> Handler:
    """The handler for a function. Raises TypeError, naming it, for one that cannot be called with a request.

    `types`, what it takes and returns, stand in place of what its annotations say.
    """
    shown = getattr(function, "__qualname__", repr(function))
    kind = _kind(function, inline, shown)
    hints = _hints(function, shown) if types is None else _stated(_parameters(function, shown), *types)
    arguments: list[Decode] = []
    takes: StructType | None = None
    for parameter in _parameters(function, shown):
        annotation = hints.get(parameter.name, Request)
        takes = _struct_in(annotation, within=False) or takes
        arguments.append(_decoder(annotation))
    returns = hints.get("return")
    return Handler(
        name or str(getattr(function, "__name__", "handler")),
        function,
        kind,
        tuple(arguments),
        takes,
        _struct_in(returns),
        default,
    )


class Methods:
    """A service's methods, and which one a service frame means."""

    def __init__(self, service: str) -> None:
        self._service = service.encode()
        self._by_name: dict[str, Handler] = {}
        # The service frames that name a method rightly: all that is looked at for most requests.
        self._by_frame: dict[bytes, Handler] = {}

    def __iter__(self) -> typing.Iterator[Handler]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def add(self, handler: Handler) -> None:
        """Adds a method. Raises ValueError for a name that is taken or no name, for a second default, and for another
        version of a type that the other methods have."""
        if not _is_method_name(handler.name):
            raise ValueError(f"{handler.name!r} is no method name; use letters, digits and _")
        if handler.name in self._by_name:
            raise ValueError(f"there is a method {handler.name!r} already")
        if handler.is_default and any(other.is_default for other in self):
            raise ValueError(f"{handler.name!r} cannot be the default: there is one already")
        try:
            check_together(_types([*self, handler]))
        except ValueError as error:
            raise ValueError(f"the method {handler.name!r}: {error}") from None
        self._by_name[handler.name] = handler
        self._by_frame = {self._service + b"/" + name.encode(): each for name, each in self._by_name.items()}
        if (unnamed := self._unnamed()) is not None:
            self._by_frame[self._service] = unnamed

    def find(self, frame: bytes) -> Handler | HootError:
        """The method a request's service frame asks for, or why there is none.

        A frame that does not begin with this service's name comes from a plain client that reached us by the broker's
        `--default-service`: it names no method.
        """
        handler = self._by_frame.get(frame)
        if handler is not None:
            return handler
        service, slash, method = frame.partition(b"/")
        if service == self._service and slash:
            return UnknownMethod(f"{self._service.decode()} has no method {method.decode('utf-8', 'replace')!r}")
        unnamed = self._unnamed()
        if unnamed is not None:
            return unnamed
        names = ", ".join(self._by_name) or "none"
        return UnknownMethod(f"the request names no method of {self._service.decode()}, which has {names}")

    def schema(self) -> bytes:
        """The types of all methods, as the broker asks for them: a CodeGeneratorRequest. Made when it is asked for."""
        return proof(_types(self))

    def _unnamed(self) -> Handler | None:
        """The only method, or the one declared default."""
        if len(self._by_name) == 1:
            return next(iter(self))
        return next((handler for handler in self if handler.is_default), None)


def _types(handlers: Iterable[Handler]) -> list[Declared]:
    return [declaration_of(kind) for each in handlers for kind in (each.takes, each.returns) if kind is not None]


def _is_method_name(name: str) -> bool:
    return name.isascii() and name.isidentifier()


def _kind(function: Function, inline: bool, shown: str) -> Kind:
    call = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004  # an object
    if inspect.isasyncgenfunction(call):
        kind = Kind.ASYNC_GENERATOR
    elif inspect.isgeneratorfunction(call):
        kind = Kind.GENERATOR
    elif inspect.iscoroutinefunction(call):
        kind = Kind.TASK
    else:
        return Kind.INLINE if inline else Kind.THREAD
    if inline:
        raise TypeError(f"{shown}: inline is for a plain function, not for this {kind.value}")
    return kind


def _hints(function: Function, shown: str) -> dict[str, Any]:
    annotated = function if inspect.isroutine(function) else type(function).__call__
    if not any(isinstance(hint, str) for hint in getattr(annotated, "__annotations__", {}).values()):
        # As they stand: a Cap'n Proto type is no class, which get_type_hints would not have.
        return dict(getattr(annotated, "__annotations__", {}))
    try:
        return inspect.get_annotations(annotated, eval_str=True)
    except NameError as error:
        raise TypeError(
            f"{shown}: an annotation cannot be evaluated ({error}); define its type at module level"
        ) from error


def _stated(
    parameters: list[inspect.Parameter], takes: StructType | None, returns: StructType | None
) -> dict[str, Any]:
    """As the annotations would be: the body's struct comes first, then the request."""
    body = [takes] if takes is not None else []
    return dict(zip([each.name for each in parameters], [*body, Request], strict=False)) | {"return": returns}


def _parameters(function: Function, shown: str) -> list[inspect.Parameter]:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in positional and (parameter.default is parameter.empty or not parameters):
            parameters.append(parameter)
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise TypeError(f"{shown}: nothing is passed for the keyword {parameter.name!r}")
    if len(parameters) > _ARGUMENTS_MAX:
        raise TypeError(
            f"{shown}: a handler takes its body and, if it likes, the Request, not {len(parameters)} arguments"
        )
    return parameters


def _decoder(annotation: Any) -> Decode:  # noqa: ANN401  # any annotation
    """What makes an argument from a request."""
    if is_struct_type(annotation):
        schema = annotation
        return lambda request: request.capnp(schema)
    if is_record_type(annotation):
        record = annotation
        return lambda request: record.from_capnp(request.capnp(record.capnp_type))
    if annotation is Request:
        return _itself
    if annotation is bytes:
        return lambda request: bytes(request.raw)
    if annotation is memoryview:
        return lambda request: request.raw
    if annotation is Any:
        return lambda request: request.body
    return lambda request: request.json(annotation)


def _struct_in(annotation: Any, *, within: bool = True) -> StructType | None:  # noqa: ANN401  # any annotation
    """The struct that an annotation names, as such or by its record; also `within`: `Body[Clip]`, `Iterator[Clip]`."""
    if is_struct_type(annotation):
        return annotation
    if is_record_type(annotation):
        named: StructType = annotation.capnp_type
        return named
    parts = typing.get_args(annotation) if within else ()
    found = {id(struct): struct for part in parts if (struct := _struct_in(part)) is not None}
    return next(iter(found.values())) if len(found) == 1 else None


def _itself(request: Request) -> Request:
    return request
