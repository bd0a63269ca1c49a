import CTenancyProtobufC
import Tenancy
import TenancyRPC

/// Fields of the type `google.protobuf.Struct`, which are repeated bytes in C.
extension Arena {
  /// A Struct as a count and an array: none when absent.
  func structure(
    _ object: [String: JSONValue]?
  ) -> (count: Int, array: UnsafeMutablePointer<ProtobufCBinaryData>?) {
    guard let object else { return (0, nil) }
    return (1, list([object]) { copy(bytes: StructCodec.encode($0)) })
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
}
