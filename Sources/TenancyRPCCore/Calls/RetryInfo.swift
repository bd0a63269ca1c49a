/// `google.rpc.RetryInfo` in a status's details.
package enum RetryInfo {
  private static let name = "google.rpc.RetryInfo"

  /// How long the server asks to be left alone; nil where it says nothing that can be read.
  package static func delay(in status: RPCStatus) -> Duration? {
    guard !status.details.isEmpty else { return nil }
    return status.details.withUnsafeBytes { details in
      do throws(FieldViolation) {
        return try find(in: details)
      } catch {
        return nil
      }
    }
  }

  /// `google.rpc.Status`: field 3 are the details, `google.protobuf.Any` each.
  private static func find(
    in status: UnsafeRawBufferPointer
  ) throws(FieldViolation) -> Duration? {
    var reader = WireCursor(status)
    var found: Duration?
    while let field = try reader.next() {
      guard field.number == 3, case .bytes(let detail) = field.content, found == nil else {
        continue
      }
      found = try delay(any: detail)
    }
    return found
  }

  private static func delay(
    any: UnsafeRawBufferPointer
  ) throws(FieldViolation) -> Duration? {
    // Names come behind the last slash of a URL.
    guard let type = try bytes(1, in: any),
      String(decoding: type, as: UTF8.self).split(separator: "/").last == name[...],
      let info = try bytes(2, in: any), let delay = try bytes(1, in: info)
    else { return nil }
    // google.protobuf.Duration: at most 10,000 years, and less than a second of nanoseconds.
    let seconds = min(max(try number(1, in: delay), 0), 315_576_000_000)
    return .seconds(seconds) + .nanoseconds(min(max(try number(2, in: delay), 0), 999_999_999))
  }

  private static func bytes(
    _ number: UInt32, in message: UnsafeRawBufferPointer
  ) throws(FieldViolation) -> UnsafeRawBufferPointer? {
    var reader = WireCursor(message)
    var found: UnsafeRawBufferPointer?
    while let field = try reader.next() {
      if field.number == number, case .bytes(let bytes) = field.content { found = bytes }
    }
    return found
  }

  private static func number(
    _ number: UInt32, in message: UnsafeRawBufferPointer
  ) throws(FieldViolation) -> Int64 {
    var reader = WireCursor(message)
    var found: Int64 = 0
    while let field = try reader.next() {
      if field.number == number, case .varint(let value) = field.content {
        found = Int64(bitPattern: value)
      }
    }
    return found
  }
}
