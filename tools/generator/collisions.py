"""Refuses protos of which two elements would have one name in what is generated."""

from . import descriptors, model, naming
from .descriptors import FieldProto
from .errors import GenerationError
from .modules import Module


class Scope:
    """In which a name stands for one thing."""

    def __init__(self, language: str):
        self._language = language
        self._owners: dict[str, str] = {}

    def take(self, file, element: str, name: str) -> None:
        """Gives a name to an element, or to what is generated for it."""
        owner = self._owners.setdefault(name, element)
        if owner != element:
            raise GenerationError(
                f"{element} ({file.name}): would have the name of {owner} in {self._language}, "
                f"{name}: rename one of them"
            )


def refuse(module: Module, files: list) -> None:
    """Looks at all names that are made of those in `files`, which are all of a module's."""
    packages = {file.package: Scope("Swift") for file in files}
    c_types, c_functions = Scope("C"), Scope("C")
    for file in files:
        _refuse_types(module, file, packages[file.package])
        for name, message, _ in descriptors.messages(file):
            c_types.take(file, name, naming.c_type(name))
            c_functions.take(file, name, naming.c_function_prefix(name))
            _refuse_members(file, name, message)
            _refuse_c_members(file, name, message)
        for name, enum, _ in descriptors.enums(file):
            c_types.take(file, name, naming.c_type(name))
            cases = Scope("Swift")
            for value in enum.value:
                cases.take(file, f"{name}.{value.name}", naming.enum_case(enum.name, value.name))


def _refuse_types(module: Module, file, types: Scope) -> None:
    """What a package declares: in Swift, service `S` is the enum `S` with the client `SClient`."""
    for declared in (*file.message_type, *file.enum_type, *file.service):
        types.take(file, naming.qualified(file.package, declared.name), model.type_name(declared.name))
    for service in file.service:
        name = naming.qualified(file.package, service.name)
        if not module.authorized:
            types.take(file, f"the client of {name}", naming.client_name(service.name))
        methods = Scope("Swift")
        for method in service.method:
            methods.take(file, f"{name}.{method.name}", naming.method_constant(method.name))


def _refuse_members(file, name: str, message) -> None:
    """Nested types, fields and oneofs, which are types, too."""
    members = Scope("Swift")
    for nested in (*message.nested_type, *message.enum_type):
        if not (nested in message.nested_type and nested.options.map_entry):
            members.take(file, f"{name}.{nested.name}", model.type_name(nested.name))
    choices: dict[int, Scope] = {}
    for field in message.field:
        scope = members
        if field.HasField("oneof_index") and not field.proto3_optional:
            scope = choices.setdefault(field.oneof_index, Scope("Swift"))
        scope.take(file, f"{name}.{field.name}", naming.member(field.name))
    for index in choices:
        oneof = f"{name}.{message.oneof_decl[index].name}"
        members.take(file, oneof, naming.member(message.oneof_decl[index].name))
        members.take(file, f"the type of {oneof}", model.oneof_type(message.oneof_decl[index].name))


def _refuse_c_members(file, name: str, message) -> None:
    """A struct of C has counts and the state of oneofs, an `optional`'s too, beside the fields."""
    members = Scope("C")
    for field in message.field:
        members.take(file, f"{name}.{field.name}", naming.c_field(field.name))
        if field.label == FieldProto.LABEL_REPEATED:
            members.take(file, f"the count of {name}.{field.name}", f"n_{naming.c_field(field.name)}")
    for oneof in message.oneof_decl:
        members.take(file, f"the state of {name}.{oneof.name}", f"{naming.c_oneof(oneof.name)}_case")
