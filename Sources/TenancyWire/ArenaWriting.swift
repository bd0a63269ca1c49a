import Tenancy
import CProtobufC
import RPC

/// What generated messages use to build their C counterparts.
extension Arena {
  /// Room for a value that the caller sets.
  func uninitialized<T>(_: T.Type) -> UnsafeMutablePointer<T> {
    allocate(MemoryLayout<T>.size).bindMemory(to: T.self, capacity: 1)
  }

  func copy(bytes: [UInt8]) -> ProtobufCBinaryData {
    bytes.withUnsafeBytes { copy($0) }
  }

  /// A C array with one element for each of `values`.
  func list<Value, C: BitwiseCopyable>(
    _ values: [Value], _ element: (Value) -> C
  ) -> UnsafeMutablePointer<C>? {
    if values.isEmpty { return nil }
    let array = zeroedArray(C.self, count: values.count)
    for (index, value) in values.enumerated() { array[index] = element(value) }
    return array
  }

  /// A C array of map entries, in the order of their keys: equal messages get equal encodings.
  func map<Value, Entry>(
    _ values: [String: Value],
    initialize: (UnsafeMutablePointer<Entry>?) -> Void,
    set: (UnsafeMutablePointer<Entry>, ProtobufCBinaryData, Value) -> Void
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>? {
    list(values.sorted { $0.key < $1.key }) { key, value in
      let entry = uninitialized(Entry.self)
      initialize(entry)
      set(entry, copy(key), value)
      return entry
    }
  }

  /// A `google.protobuf.Struct` as a count and an array: none when absent.
  func structure(
    _ object: [String: JSONValue]?
  ) -> (count: Int, array: UnsafeMutablePointer<ProtobufCBinaryData>?) {
    guard let object else { return (0, nil) }
    return (1, list([object]) { copy(bytes: StructCodec.encode($0)) })
  }
}
