import TenancyRPC

/// Finds `google.rpc.ErrorInfo.reason` in the details of a status.
enum ErrorReason {
  private static let type = Array("type.googleapis.com/google.rpc.ErrorInfo".utf8)

  /// - Returns: nil if there is none, or the bytes are no `google.rpc.Status`.
  static func find(in status: RPCStatus?) -> String? {
    guard let status, !status.details.isEmpty else { return nil }
    return status.details.withUnsafeBytes { find(in: $0) }
  }

  private static func find(in status: UnsafeRawBufferPointer) -> String? {
    var reason: String?
    each(in: status, field: 3) { detail in
      guard reason == nil, first(in: detail, field: 1).map({ $0.elementsEqual(type) }) ?? false,
        let info = first(in: detail, field: 2), let text = first(in: info, field: 1)
      else { return }
      reason = String(decoding: text, as: UTF8.self)
    }
    return reason
  }

  private static func first(
    in message: UnsafeRawBufferPointer, field wanted: UInt64
  ) -> UnsafeRawBufferPointer? {
    var found: UnsafeRawBufferPointer?
    each(in: message, field: wanted) { found = found ?? $0 }
    return found
  }

  /// Lends the bytes of a length-delimited field, as often as it is there.
  private static func each(
    in message: UnsafeRawBufferPointer, field wanted: UInt64,
    _ body: (UnsafeRawBufferPointer) -> Void
  ) {
    var rest = message[...]
    while !rest.isEmpty {
      guard let key = varint(&rest) else { return }
      switch key & 7 {
      case 0: guard varint(&rest) != nil else { return }
      case 1: rest = rest.dropFirst(8)
      case 2:
        guard let count = varint(&rest), count <= UInt64(rest.count) else { return }
        let value = rest.prefix(Int(count))
        if key >> 3 == wanted { body(UnsafeRawBufferPointer(rebasing: value)) }
        rest = rest.dropFirst(Int(count))
      case 5: rest = rest.dropFirst(4)
      case _: return
      }
    }
  }

  private static func varint(_ rest: inout Slice<UnsafeRawBufferPointer>) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while let byte = rest.popFirst() {
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
      if shift > 63 { return nil }
    }
    return nil
  }
}
