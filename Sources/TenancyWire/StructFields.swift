import CTenancyProtobufC
import Tenancy
import TenancyRPC

/// Fields of the types `google.protobuf.Struct` and `Value`, which are repeated bytes in C.
extension Arena {
  /// A Struct as a count and an array: none when absent.
  func structure(
    _ object: [String: JSONValue]?
  ) -> (count: Int, array: UnsafeMutablePointer<ProtobufCBinaryData>?) {
    guard let object else { return (0, nil) }
    return (1, list([object]) { copy(bytes: StructCodec.encode($0)) })
  }

  /// The same for a Value. JSON's null is one, and not an absent one.
  func value(
    _ value: JSONValue?
  ) -> (count: Int, array: UnsafeMutablePointer<ProtobufCBinaryData>?) {
    guard let value else { return (0, nil) }
    return (1, list([value]) { copy(bytes: StructCodec.encode(value: $0)) })
  }
}

extension WireRead {
  /// A Struct, whose repeats merge as proto3 has it for a singular message.
  static func structure(
    _ array: UnsafeMutablePointer<ProtobufCBinaryData>?, count: Int, field: StaticString
  ) throws(FieldViolation) -> [String: JSONValue]? {
    guard let array, count > 0 else { return nil }
    var merged: [String: JSONValue] = [:]
    for index in 0..<count {
      let object = try StructCodec.decode(array[index].bytes, field: field)
      if index == 0 {
        merged = object
      } else {
        merged.merge(object) { _, later in later }
      }
    }
    return merged
  }

  /// A Value, whose repeats are as one message that has the fields of all.
  static func value(
    _ array: UnsafeMutablePointer<ProtobufCBinaryData>?, count: Int, field: StaticString
  ) throws(FieldViolation) -> JSONValue? {
    guard let array, count > 0 else { return nil }
    if count == 1 { return try StructCodec.decode(value: array[0].bytes, field: field) }
    var bytes: [UInt8] = []
    for index in 0..<count { bytes += array[index].bytes }
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(FieldViolation) in try StructCodec.decode(value: bytes, field: field) }
    }
    return try result.get()
  }
}
