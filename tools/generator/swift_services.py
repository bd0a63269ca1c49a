"""Method specs (with the authorization of each method) and client stubs."""

from . import descriptors, model, naming
from .descriptors import AuthorizationReader
from .modules import Module
from .swift_messages import doc, file_header

SCOPES = {
    "PLATFORM": ".platform",
    "TENANT": ".tenant",
    "SELF": ".ownSelf",
    "ANONYMOUS": ".anonymous",
}


def specs(module: Module, files: list, reader: AuthorizationReader | None) -> str:
    """The specs of every service."""
    lines = file_header("", ["import CTenancyProtobufC", f"import {module.c_name}", "import TenancyRPC"])
    if not module.authorized:
        # Of a module without services, nothing needs it.
        used = any(file.service for file in files)
        lines = file_header("", ["public import TenancyRPC"] if used else [])
    names: dict[str, list[str]] = {}
    for file, index, service in _services(files):
        namespace = model.namespace(file.package)
        names.setdefault(namespace, []).append(model.type_name(service.name))
        lines += _service(module, namespace, file, index, service, reader)
    for namespace, services in names.items() if module.authorized else ():
        every = " + ".join(f"{name}.methods" for name in services)
        lines += [
            f"extension {namespace} {{",
            "  /// Every method of the API.",
            f"  public static let methods: [MethodIdentity] =\n    {every}",
            "}",
            "",
        ]
    return "\n".join(lines)


def descriptor_set(module: Module) -> str:
    """Swift's way to the descriptors that are embedded in C."""
    lines = file_header("", [f"internal import {module.c_name}"])
    lines += [
        "/// The protos that this module is generated from.",
        f"public enum {module.descriptors} {{",
        "  /// They and all that they import, as an encoded `google.protobuf.FileDescriptorSet`.",
        "  public static var fileDescriptorSet: [UInt8] {",
        "    var count = 0",
        f"    let bytes = {module.c_name}_descriptor_set(&count)",
        "    return [UInt8](UnsafeBufferPointer(start: bytes, count: count))",
        "  }",
        "}",
        "",
    ]
    return "\n".join(lines)


def _services(files):
    for file in files:
        for index, service in enumerate(file.service):
            yield file, index, service


def _service(module, namespace: str, file, index: int, service, reader) -> list[str]:
    full_name = naming.qualified(file.package, service.name)
    comments = descriptors.comments(file)
    protocol = ": ServiceSpec" if module.authorized else ""
    lines = [f"extension {namespace} {{"]
    lines += doc(comments.get((6, index), []), "  ", f"The methods of `{full_name}`.")
    lines += [
        f"  public enum {model.type_name(service.name)}{protocol} {{",
        "    /// As calls' paths have it.",
        f'    public static let name = "{full_name}"',
        "",
    ]
    for position, method in enumerate(service.method):
        comment = comments.get((6, index, 2, position), [])
        lines += doc(comment, "    ", f"`{method.name}`.")
        if module.authorized:
            lines += [f"    {line}" for line in _authorized(full_name, method, reader)]
        else:
            lines += [f"    {line}" for line in _plain(full_name, method)]
    if module.authorized:
        lines += ["", "    public static let methods: [MethodIdentity] = ["]
        for method in service.method:
            lines.append(f"      {naming.method_constant(method.name)}.identity,")
        lines.append("    ]")
    return lines + ["  }", "}", ""]


def _kind(method) -> str:
    return {
        (False, False): ".unary",
        (True, False): ".clientStreaming",
        (False, True): ".serverStreaming",
        (True, True): ".bidirectional",
    }[method.client_streaming, method.server_streaming]


def _types(method) -> tuple[str, str]:
    """The request's and the response's Swift type."""
    return model.swift_type(method.input_type), model.swift_type(method.output_type)


def _arguments(service: str, method) -> str:
    """Of `RPCMethod`."""
    arguments = f'path: "/{service}/{method.name}", kind: {_kind(method)}'
    options = method.options
    if options.idempotency_level != options.IDEMPOTENCY_UNKNOWN:
        arguments += ", isIdempotent: true"
    return arguments


def _plain(service: str, method) -> list[str]:
    name = naming.method_constant(method.name)
    request, response = _types(method)
    return [
        f"public static let {name} = RPCMethod<{request}, {response}>(",
        f"  {_arguments(service, method)})",
    ]


def _authorized(service: str, method, reader: AuthorizationReader) -> list[str]:
    found = reader.read(service, method)
    request, response = _types(method)
    name = naming.method_constant(method.name)
    arguments = [f'permission: "{found.permission}"', f"scope: {SCOPES[found.scope]}"]
    access = "nil"
    if found.tenant_field:
        arguments.append(f'tenantField: "{found.tenant_field}"')
        access = f"{{ {_tenant_access(found.tenant_field)} }}"
    return [
        f"public static let {name} = MethodSpec<{request}, {response}>(",
        f"  RPCMethod({_arguments(service, method)}),",
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


def clients(module: Module, files: list) -> dict[str, str]:
    """File name -> text, one client for each service."""
    outputs = {}
    for file, index, service in _services(files):
        if file.name.startswith(module.foreign_clients):
            continue
        imports = ["public import TenancyRPC"]
        lines = _client(module, file, index, service)
        prefix = ""
        if module.authorized:
            imports.append("public import TenancyWire")
        else:
            # Two packages of a module may have services of the same name.
            prefix = model.namespace(file.package)
            lines = [f"extension {prefix} {{", *[f"  {line}".rstrip() for line in lines[:-1]], "}", ""]
        text = "\n".join(file_header(file.name, imports) + lines)
        outputs[f"{prefix}{naming.client_name(service.name)}.swift"] = text
    return outputs


def _client(module: Module, file, index: int, service) -> list[str]:
    comments = descriptors.comments(file)
    namespace = model.namespace(file.package)
    lines = doc(comments.get((6, index), []), "", f"Calls `{naming.qualified(file.package, service.name)}`.")
    lines += [
        f"public struct {naming.client_name(service.name)}: Sendable {{",
        "  private let channel: any CallChannel",
        "",
        "  /// Calls by `channel`, which others may use as well.",
        "  public init(_ channel: any CallChannel) { self.channel = channel }",
    ]
    for position, method in enumerate(service.method):
        comment = comments.get((6, index, 2, position), [])
        lines += ["", *doc(comment, "  ", f"Calls `{method.name}`.")]
        spec = f"{namespace}.{model.type_name(service.name)}.{naming.method_constant(method.name)}"
        if module.authorized:
            spec += ".method"
        lines += [f"  {line}" for line in _stub(spec, method)]
    return lines + ["}", ""]


OPTIONS = "options: RPCCallOptions = RPCCallOptions()"


def _stub(spec: str, method) -> list[str]:
    request, response = _types(method)
    name = naming.method_name(method.name)
    writer, messages = f"RequestWriter<{request}>", f"ResponseMessages<{response}>"
    if not method.client_streaming and not method.server_streaming:
        return [
            f"public nonisolated(nonsending) func {name}(",
            f"  _ request: {request}, {OPTIONS}",
            f") async throws -> {response} {{",
            f"  try await channel.unary({spec}, request, options: options)",
            "}",
        ]
    if not method.server_streaming:
        return [
            f"public nonisolated(nonsending) func {name}(",
            f"  {OPTIONS}, _ send: ({writer}) async throws -> Void",
            f") async throws -> {response} {{",
            f"  try await channel.clientStreaming({spec}, options: options, send)",
            "}",
        ]
    if not method.client_streaming:
        return [
            f"public nonisolated(nonsending) func {name}<Result>(",
            f"  _ request: {request}, {OPTIONS},",
            f"  _ body: ({messages}) async throws -> Result",
            ") async throws -> Result {",
            f"  try await channel.serverStreaming({spec}, request, options: options, body)",
            "}",
        ]
    return [
        f"public nonisolated(nonsending) func {name}<Result>(",
        f"  {OPTIONS},",
        f"  _ body: ({writer}, {messages}) async throws -> Result",
        ") async throws -> Result {",
        f"  try await channel.bidirectional({spec}, options: options, body)",
        "}",
    ]
