"""C messages for libprotobuf-c, made by protoc-gen-c from descriptors changed to suit it."""

import re
import shutil
import subprocess

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2

from . import descriptors, naming
from .descriptors import FieldProto, banner
from .errors import GenerationError
from .modules import Module

STRUCT_TYPE = ".google.protobuf.Struct"
VALUE_TYPE = ".google.protobuf.Value"
DROPPED_DEPENDENCIES = {
    descriptors.STRUCT_FILE,
    descriptors.OPTIONS_FILE,
    "google/protobuf/descriptor.proto",
}
# Bytes of a descriptor set on a line of C.
BYTES_PER_LINE = 24

RUNTIME = "#include <protobuf-c/protobuf-c.h>\n"
# Swift sees the runtime's types in every module of ours: they must be those of one module.
RUNTIME_AS_MODULE = f"""#ifdef __clang__
#if __has_feature(modules)
#pragma clang module import CTenancyProtobufC
#endif
#endif
{RUNTIME}"""


def generate(module: Module, files: list, embedded: bytes) -> dict[str, str]:
    """Path below the C target -> text, for `files` (dependencies first) and a descriptor set."""
    adapted = [adapt(file) for file in files]
    response = _run_plugin(adapted)
    umbrella = f"{module.c_name}.h"
    outputs = {
        "include/module.modulemap": "",
        f"include/{umbrella}": _umbrella(module, files),
        "descriptor_set.c": _descriptor_set(module, embedded),
    }
    headers = [umbrella]
    texts = {output.name: output.content for output in response.file}
    for output in response.file:
        source = output.name.removesuffix(".h").removesuffix(".c").removesuffix(".pb-c") + ".proto"
        path = output.name
        if path.endswith(".h"):
            headers.append(path)
            path = f"include/{path}"
        content = output.content.replace(RUNTIME, RUNTIME_AS_MODULE)
        if module.foreign and path.endswith(".c") and path.startswith(descriptors.WELL_KNOWN_FOLDER):
            header = path.removesuffix(".c") + ".h"
            include = f'#include "{header}"\n'
            if include not in content:
                raise GenerationError(f"{path}: protoc-gen-c does not include {header} as expected")
            content = content.replace(include, include + _shared(texts[header]))
        outputs[path] = f"/* {banner(source)} */\n" + content
    outputs["include/module.modulemap"] = _module_map(module, headers)
    return outputs


def adapt(file):
    """A copy of `file` that protoc-gen-c turns into messages fit for hostile input.

    Strings become bytes, as libprotobuf-c's strings end at the first NUL; map entries become plain
    messages; google.protobuf.Struct and Value become repeated bytes, since libprotobuf-c decodes
    recursive types without a limit; an `optional` of proto3 becomes the oneof that it is on paper.
    All of it is the same on the wire.
    """
    if file.syntax != "proto3":
        raise GenerationError(f"{file.name}: only proto3 is supported")
    adapted = descriptor_pb2.FileDescriptorProto()
    adapted.CopyFrom(file)
    for name in ("service", "extension", "source_code_info", "options", "public_dependency"):
        adapted.ClearField(name)
    adapted.ClearField("weak_dependency")
    kept = [name for name in file.dependency if name not in DROPPED_DEPENDENCIES]
    adapted.ClearField("dependency")
    adapted.dependency.extend(kept)
    for message in adapted.message_type:
        _adapt_message(message)
    return adapted


def _adapt_message(message) -> None:
    message.ClearField("options")
    for oneof in message.oneof_decl:
        # protoc calls them `_field`, which is no name for C.
        oneof.name = naming.c_oneof(oneof.name)
    for field in message.field:
        if field.name.lower() in naming.C_USED:
            field.name = naming.c_field(field.name)
        field.ClearField("options")
        field.ClearField("proto3_optional")
        if field.type == FieldProto.TYPE_STRING:
            field.type = FieldProto.TYPE_BYTES
        elif field.type_name in (STRUCT_TYPE, VALUE_TYPE):
            field.type = FieldProto.TYPE_BYTES
            field.ClearField("type_name")
            # Repeated: an empty Struct is not an absent one, and pieces of one can be merged.
            field.label = FieldProto.LABEL_REPEATED
    for nested in message.nested_type:
        _adapt_message(nested)


def _run_plugin(files) -> plugin_pb2.CodeGeneratorResponse:
    plugin = shutil.which("protoc-gen-c")
    if plugin is None:
        raise GenerationError("protoc-gen-c not found: install protobuf-c-compiler")
    request = plugin_pb2.CodeGeneratorRequest(
        file_to_generate=[file.name for file in files], proto_file=files
    )
    run = subprocess.run(
        [plugin], input=request.SerializeToString(), capture_output=True, check=False
    )
    if run.returncode != 0:
        raise GenerationError(f"protoc-gen-c failed: {run.stderr.decode(errors='replace')}")
    response = plugin_pb2.CodeGeneratorResponse.FromString(run.stdout)
    if response.error:
        raise GenerationError(f"protoc-gen-c failed: {response.error}")
    return response


def _shared(header: str) -> str:
    """A program may link several modules that have google.protobuf's messages, each for itself: any will do.

    Before what is defined: clang does not look at what comes after.
    """
    names = sorted(set(re.findall(r"\bgoogle__protobuf__\w+", header)))
    return "\n" + "".join(f"#pragma weak {name}\n" for name in names)


def _umbrella(module: Module, files) -> str:
    """Includes every header. Swift cannot take a C constant's address, so each descriptor gets a
    function."""
    lines = [
        f"/* {banner()} */",
        f"#ifndef {module.c_name}_H",
        f"#define {module.c_name}_H",
        "",
    ]
    lines += [f'#include "{file.name.removesuffix(".proto")}.pb-c.h"' for file in files]
    lines += [
        "",
        "/* The protos and what they import: a google.protobuf.FileDescriptorSet. */",
        f"const uint8_t *{module.c_name}_descriptor_set(size_t *size);",
        "",
    ]
    for file in files:
        for name, _, _ in descriptors.messages(file):
            prefix = naming.c_function_prefix(name)
            lines += [
                "static inline const ProtobufCMessageDescriptor *",
                f"{prefix}__get_descriptor(void) {{",
                f"  return &{prefix}__descriptor;",
                "}",
            ]
    lines += ["", "#endif", ""]
    return "\n".join(lines)


def _descriptor_set(module: Module, embedded: bytes) -> str:
    lines = [
        f"/* {banner()} */",
        f'#include "{module.c_name}.h"',
        "",
        "static const uint8_t bytes[] = {",
    ]
    for start in range(0, len(embedded), BYTES_PER_LINE):
        line = ", ".join(str(byte) for byte in embedded[start : start + BYTES_PER_LINE])
        lines.append(f"  {line},")
    lines += [
        "};",
        "",
        f"const uint8_t *{module.c_name}_descriptor_set(size_t *size) {{",
        "  *size = sizeof bytes;",
        "  return bytes;",
        "}",
        "",
    ]
    return "\n".join(lines)


def _module_map(module: Module, headers: list[str]) -> str:
    lines = [f"// {banner()}", f"module {module.c_name} {{"]
    lines += [f'  header "{header}"' for header in headers]
    lines += ["  export *", "}", ""]
    return "\n".join(lines)
