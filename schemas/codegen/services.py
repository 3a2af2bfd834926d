"""`…_bus.py`: for each interface of a file a client, an asyncio client and the base of a worker.

On the bus a method is `SERVICE/method`, its parameter struct the request's body and its result struct the reply's; one
without fields is an empty body. A capability cannot be sent, so a `-> stream` method that is given a sink to put its
items into sends them as partial replies instead. A result that is one list may come bit by bit, if the caller asks.
"""

from collections.abc import Iterable
from typing import Final

from hootbus.schemas import model
from hootbus.schemas.codegen.interfaces import Method, Service, above, services_of
from hootbus.schemas.codegen.names import argument_name, plain_name
from hootbus.schemas.codegen.scope import Names
from hootbus.schemas.codegen.text import Text
from hootbus.schemas.codegen.types import CAPNP, SERVICES, Types
from hootbus.schemas.readers import attribute_name

SUPPORT: Final = "hootbus.workers.generated"


def write_services(names: Names, file_id: int, taken: frozenset[str], doc: str) -> str:
    """The text of the module."""
    services = [*services_of(names, file_id)]
    classes = {each for service in services for each in service.classes}
    return _Services(names, file_id, Text(taken | classes)).written(services, doc)


class _Services:
    def __init__(self, names: Names, file_id: int, text: Text) -> None:
        self._names = names
        self._schema = names.schema
        self._file_id = file_id
        self._text = text
        self._types = Types(names, file_id, text, SERVICES)

    def written(self, services: Iterable[Service], doc: str) -> str:
        self._text.name("__future__", "annotations")
        for service in services:
            self._client(service, is_async=False)
            self._client(service, is_async=True)
            self._worker(service)
        return self._text.written(doc)

    def _support(self, name: str) -> str:
        return self._text.name(SUPPORT, name)

    def _bases(self, service: Service, ending: str, root: str) -> list[str]:
        """The classes of the interfaces that it extends, but for those that another of them extends already."""
        far = {each for direct in service.superclasses for each in above(self._schema, direct)}
        found = []
        for each in dict.fromkeys(service.superclasses):
            if each in far:
                continue
            place = self._names.place(each)
            name = place.dotted.replace(".", "_") + ending
            if place.file_id == self._file_id:
                found.append(name)
            else:
                statement, module = self._names.import_of(self._file_id, place.file_id, SERVICES)
                self._text.module(statement)
                found.append(f"{module}.{name}")
        return found or [self._support(root)]

    def _class(self, service: Service, ending: str, root: str, prefix: str = "") -> str:
        bases = (
            self._bases(service, ending, root)
            if not prefix
            else [
                base if base == self._support(root) else _prefixed(base, prefix)
                for base in self._bases(service, ending, root)
            ]
        )
        return f"class {prefix}{service.name}{ending}({', '.join(bases)}):"

    def _client(self, service: Service, *, is_async: bool) -> None:
        text = self._text
        text.blank(2)
        prefix, root = ("Async", "AsyncServiceClient") if is_async else ("", "ServiceClient")
        with text.block(self._class(service, "Client", root, prefix)):
            text.doc(service.node.doc or f"Calls the methods of {service.name}.")
            text.blank()
            self._service_name(service)
            for method in service.methods:
                text.blank()
                self._call(method, is_async)
                if method.items is not None:
                    text.blank()
                    self._items(method, method.items, is_async)

    def _service_name(self, service: Service) -> None:
        kind = f"{self._types.typing('ClassVar')}[{self._types.builtin('str')}]"
        self._text.line(f'service_name: {kind} = "{service.service_name}"')

    def _call(self, found: Method, is_async: bool) -> None:
        text = self._text
        name = plain_name(found.name)
        gives = "None" if found.gives is None else self._read(found.gives)
        if found.is_stream:
            gives = f"{self._iterator(is_async)}[{gives}]"
        # A function that gives an async iterator is none itself.
        opening = "async def" if is_async and not found.is_stream else "def"
        text.call(f"{opening} {name}(", self._parameters(found), f") -> {gives}:")
        with text.indented():
            text.doc(found.doc)
            how = "_stream" if found.is_stream else "_ask" if found.gives is not None else "_tell"
            if found.is_stream and found.gives is None:
                how = "_signals"
            wait = "await " if is_async and not found.is_stream else ""
            result = "" if how == "_tell" else "return "
            text.call(f"{result}{wait}self.{how}(", self._arguments(found), ")")

    def _items(self, found: Method, items: model.Field, is_async: bool) -> None:
        """The elements of a list that is a method's result, as they come."""
        text = self._text
        assert isinstance(items.place, model.Slot)
        assert isinstance(items.place.type, model.ListType)
        assert found.gives is not None
        element = self._types.read(items.place.type.element, self._schema.node(self._file_id))
        opening = "async def" if is_async else "def"
        iterator = self._iterator(is_async)
        name = f"{found.name}_items"
        text.call(f"{opening} {name}(", self._parameters(found), f") -> {iterator}[{element}]:")
        with text.indented():
            text.doc(f"The {items.name} of `{found.name}`, as they come.")
            source = "self._stream("
            loop = "async for" if is_async else "for"
            text.call(f"stream = {source}", self._arguments(found), ")")
            with text.block(f"{loop} part in stream:"):
                field = f"part.{attribute_name(items.name)}"
                if is_async:
                    with text.block(f"for item in {field}:"):
                        text.line("yield item")
                else:
                    text.line(f"yield from {field}")

    def _iterator(self, is_async: bool) -> str:
        return self._text.name("collections.abc", "AsyncIterator" if is_async else "Iterator")

    def _read(self, kind: model.StructType) -> str:
        """The class of a struct. What a generic interface's parameters stand for only its users know."""
        return self._types.struct(kind, self._schema.node(self._file_id))

    def _parameters(self, found: Method) -> list[str]:
        if found.takes is None:
            return ["self"]
        node = self._schema.node(self._file_id)
        items = ["self", f"body_: {self._support('Body')}[{self._read(found.takes)}] | None = None", "/", "*"]
        unset = self._text.name("msgspec", "UNSET")
        kind = self._text.name("msgspec", "UnsetType")
        for field in found.fields:
            if isinstance(field.place, model.Group):
                given = f"{self._types.support('StructInput')}[{self._types.declared(field.place.id, CAPNP)}]"
            else:
                given = self._types.given(field.place.type, node)
            items.append(f"{argument_name(field.name)}: {given} | {kind} = {unset}")
        return items

    def _arguments(self, found: Method) -> list[str]:
        takes = "None" if found.takes is None else self._types.declared(found.takes.id, CAPNP)
        items = [f'"{found.name}"', takes]
        if found.gives is not None:
            items.append(self._types.declared(found.gives.id, CAPNP))
        fields = ", ".join(f'"{field.name}": {argument_name(field.name)}' for field in found.fields)
        return [*items, *(["None"] if found.takes is None else ["body_"]), f"{{{fields}}}"]

    def _worker(self, service: Service) -> None:
        text, types = self._text, self._types
        text.blank(2)
        with text.block(self._class(service, "Worker", "ServiceWorker")):
            text.doc(service.node.doc or f"Offers the methods of {service.name}.")
            text.blank()
            self._service_name(service)
            kind = f"{types.typing('ClassVar')}[{types.builtin('tuple')}[{self._support('MethodTypes')}, ...]]"
            rows = [self._row(method) for method in service.methods]
            text.call(f"capnp_methods: {kind} = (", rows, ",)" if len(rows) == 1 else ")")
            for method in service.methods:
                text.blank()
                text.line(f"@{self._text.name('abc', 'abstractmethod')}")
                items = ["self"]
                if method.takes is not None:
                    items.append(f"body: {self._read(method.takes)}")
                items.append(f"request: {self._support('Request')}")
                name = plain_name(method.name)
                if method.doc:
                    text.call(f"def {name}(", items, f") -> {self._answer(method)}:")
                    with text.indented():
                        text.doc(method.doc)
                else:
                    text.call(f"def {name}(", items, f") -> {self._answer(method)}: ...")

    def _row(self, method: Method) -> str:
        items = [f'"{method.name}"', f'"{plain_name(method.name)}"']
        for kind in (method.takes, method.gives):
            items.append("None" if kind is None else self._types.declared(kind.id, CAPNP))
        return f"{self._support('MethodTypes')}({', '.join(items)})"

    def _answer(self, method: Method) -> str:
        if method.gives is None:
            if method.is_stream:
                return f"{self._support('Signals')}"
            return f"{self._text.name('collections.abc', 'Awaitable')}[None] | None"
        kind = self._read(method.gives)
        if method.is_stream:
            return f"{self._support('Items')}[{kind}]"
        answer = f"{self._support('Answer')}[{kind}]"
        return answer if method.items is None else f"{answer} | {self._support('Items')}[{kind}]"


def _prefixed(name: str, prefix: str) -> str:
    module, dot, own = name.rpartition(".")
    return f"{module}{dot}{prefix}{own}"
