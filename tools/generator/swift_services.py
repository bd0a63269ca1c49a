"""Method specs (with the authorization of each method) and client stubs."""

from . import descriptors, model, naming
from .descriptors import AuthorizationReader
from .errors import GenerationError
from .swift_messages import doc, file_header

SCOPES = {
    "PLATFORM": ".platform",
    "TENANT": ".tenant",
    "SELF": ".ownSelf",
    "ANONYMOUS": ".anonymous",
}


def specs(files: list, reader: AuthorizationReader) -> str:
    """The specs of every service."""
    imports = ["import CProtobufC", "import CTenancyProto"]
    lines = file_header("", imports)
    names: dict[str, list[str]] = {}
    for file, index, service in _services(files):
        namespace = model.NAMESPACES[file.package]
        if service.name in {message.name for message in file.message_type}:
            raise GenerationError(f"{service.name} is the name of a service and of a message")
        names.setdefault(namespace, []).append(service.name)
        lines += _service(namespace, file, index, service, reader)
    for namespace, services in names.items():
        every = " + ".join(f"{name}.methods" for name in services)
        lines += [
            f"extension {namespace} {{",
            "  /// Every method of the API.",
            f"  public static let methods: [MethodIdentity] =\n    {every}",
            "}",
            "",
        ]
    return "\n".join(lines)


def _services(files):
    for file in files:
        for index, service in enumerate(file.service):
            yield file, index, service


def _service(namespace: str, file, index: int, service, reader) -> list[str]:
    full_name = f"{file.package}.{service.name}"
    comments = descriptors.comments(file)
    lines = [f"extension {namespace} {{", *doc(comments.get((6, index), []), "  ")]
    lines += [
        f"  public enum {service.name}: ServiceSpec {{",
        f'    public static let name = "{full_name}"',
        "",
    ]
    for method in service.method:
        lines += [f"    {line}" for line in _spec(full_name, method, reader)]
    lines += ["", "    public static let methods: [MethodIdentity] = ["]
    for method in service.method:
        lines.append(f"      {naming.escaped(naming.method_name(method.name))}.identity,")
    return lines + ["    ]", "  }", "}", ""]


def _spec(service: str, method, reader: AuthorizationReader) -> list[str]:
    if method.client_streaming or method.server_streaming:
        raise GenerationError(f"{service}.{method.name}: streaming is not supported")
    found = reader.read(service, method)
    request, response = (model.swift_type(name) for name in (method.input_type, method.output_type))
    name = naming.escaped(naming.method_name(method.name))
    arguments = [f'permission: "{found.permission}"', f"scope: {SCOPES[found.scope]}"]
    access = "nil"
    if found.tenant_field:
        arguments.append(f'tenantField: "{found.tenant_field}"')
        access = f"{{ {_tenant_access(found.tenant_field)} }}"
    return [
        f"public static let {name} = MethodSpec<{request}, {response}>(",
        f'  path: "/{service}/{method.name}",',
        f"  requirement: Requirement({', '.join(arguments)}),",
        f"  tenantField: {access})",
    ]


def _tenant_access(path: str) -> str:
    """`tenant.name` -> an expression that is empty where `tenant` is absent."""
    first, *rest = [naming.escaped(naming.c_field(name)) for name in path.split(".")]
    if not rest:
        return f"$0.pointee.{first}"
    return f"$0.pointee.{first}" + "".join(
        f"?.pointee.{name}" for name in rest
    ) + " ?? ProtobufCBinaryData()"


def clients(files: list) -> dict[str, str]:
    """File name -> text, one client for each service."""
    outputs = {}
    for file, index, service in _services(files):
        imports = ["public import RPC", "public import TenancyWire"]
        lines = file_header(file.name, imports) + _client(file, index, service)
        outputs[f"{service.name}Client.swift"] = "\n".join(lines)
    return outputs


def _client(file, index: int, service) -> list[str]:
    comments = descriptors.comments(file)
    lines = doc(comments.get((6, index), []), "")
    lines += [
        f"public struct {service.name}Client: Sendable {{",
        "  private let channel: any UnaryChannel",
        "",
        "  public init(_ channel: any UnaryChannel) { self.channel = channel }",
    ]
    specs_name = f"{model.NAMESPACES[file.package]}.{service.name}"
    for position, method in enumerate(service.method):
        name = naming.escaped(naming.method_name(method.name))
        fallback = [f"Calls `{method.name}`."]
        lines += ["", *doc(comments.get((6, index, 2, position), fallback), "  ")]
        lines += [
            f"  public func {name}(",
            f"    _ request: {model.swift_type(method.input_type)},"
            " options: CallOptions = CallOptions()",
            f"  ) async throws -> {model.swift_type(method.output_type)} {{",
            f"    try await channel.call({specs_name}.{name}, request, options)",
            "  }",
        ]
    return lines + ["}", ""]
