internal import CTenancyNghttp2
internal import TenancyRPCCore

/// Header fields as nghttp2 takes them, for names and values that live as long as the program.
enum HeaderFields {
  /// A field of two literals; nothing is copied.
  static func field(_ name: StaticString, _ value: StaticString) -> nghttp2_nv {
    nghttp2_nv(
      name: UnsafeMutablePointer(mutating: name.utf8Start),
      value: UnsafeMutablePointer(mutating: value.utf8Start),
      namelen: name.utf8CodeUnitCount, valuelen: value.utf8CodeUnitCount,
      flags: UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue))
  }

  /// Lends an array of fields whose names and values live until `body` returns; nghttp2 copies them.
  static func withFields<R>(
    _ fields: [(name: [UInt8], value: [UInt8])], _ body: (UnsafePointer<nghttp2_nv>?, Int) -> R
  ) -> R {
    var text: [UInt8] = []
    for (name, value) in fields { text += name + value }
    return text.withUnsafeMutableBufferPointer { buffer in
      var native: [nghttp2_nv] = []
      var at = 0
      for (name, value) in fields {
        guard let base = buffer.baseAddress else { break }
        native.append(
          nghttp2_nv(
            name: base + at, value: base + at + name.count, namelen: name.count,
            valuelen: value.count, flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)))
        at += name.count + value.count
      }
      return native.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
    }
  }

  /// The fields that begin a response, what its handler says included.
  static func responseHeaders(_ custom: RPCMetadata?) -> [(name: [UInt8], value: [UInt8])] {
    var fields: [(name: [UInt8], value: [UInt8])] = [
      (Array(":status".utf8), Array("200".utf8)),
      (Array("content-type".utf8), Array("application/grpc".utf8)),
      // Needed where an encoding was refused; true of every answer.
      (Array("grpc-accept-encoding".utf8), Array("gzip,identity".utf8)),
    ]
    if let custom { add(custom, to: &fields) }
    return fields
  }

  /// The fields that end a call with `status`; nil: OK. A longer message is cut, larger details are left
  /// out.
  static func trailers(
    _ status: RPCStatus?, custom: RPCMetadata? = nil
  ) -> [(name: [UInt8], value: [UInt8])] {
    let code = status?.code ?? .ok
    var fields: [(name: [UInt8], value: [UInt8])] = [
      (Array("grpc-status".utf8), Array(String(code.rawValue).utf8))
    ]
    if let status, !status.message.isEmpty {
      let message = status.message.clipped(toBytes: RPCStatus.maximumSentMessage)
      fields.append((Array("grpc-message".utf8), GRPCCoding.percentEncode(message)))
    }
    if let status, !status.details.isEmpty, status.details.count <= RPCStatus.maximumSentDetails {
      fields.append(
        (Array("grpc-status-details-bin".utf8), GRPCCoding.base64Encode(status.details)))
    }
    if let custom { add(custom, to: &fields) }
    return fields
  }

  /// Adds what may be sent of a handler's metadata, up to its limit.
  private static func add(
    _ metadata: RPCMetadata, to fields: inout [(name: [UInt8], value: [UInt8])]
  ) {
    var size = 0
    for entry in metadata.entries where entry.isSendable {
      size += entry.name.utf8.count + entry.value.utf8.count + 32
      if size > ResponseControl.maximumMetadataBytes { return }
      fields.append((Array(entry.name.utf8), Array(entry.value.utf8)))
    }
  }

  /// What people read who send something that is not gRPC.
  static func text(http status: Int) -> String {
    switch status {
    case 404: "404 not found: no method has this path, and this is not a gRPC request\n"
    case 405: "405 method not allowed: gRPC requests are POST\n"
    case 415: "415 unsupported media type: gRPC requests have the content type application/grpc\n"
    default: "\(status)\n"
    }
  }
}
