public import CTenancyProtobufC

/// What generated messages use to build their C counterparts.
extension Arena {
  /// Room for a value that the caller sets.
  @inlinable
  public func uninitialized<T>(_: T.Type) -> UnsafeMutablePointer<T> {
    allocate(MemoryLayout<T>.size).bindMemory(to: T.self, capacity: 1)
  }

  /// A copy that is valid as long as what the arena hands out.
  @inlinable
  public func copy(bytes: [UInt8]) -> ProtobufCBinaryData {
    bytes.withUnsafeBytes { copy($0) }
  }

  /// A C array with one element for each of `values`.
  @inlinable
  public func list<Value, C: BitwiseCopyable>(
    _ values: [Value], _ element: (Value) -> C
  ) -> UnsafeMutablePointer<C>? {
    if values.isEmpty { return nil }
    let array = zeroedArray(C.self, count: values.count)
    for (index, value) in values.enumerated() { array[index] = element(value) }
    return array
  }

  /// A C array of map entries, in the order of their keys' bytes: equal messages get equal encodings.
  @inlinable
  public func map<Value, Entry>(
    _ values: [String: Value],
    initialize: (UnsafeMutablePointer<Entry>?) -> Void,
    set: (UnsafeMutablePointer<Entry>, ProtobufCBinaryData, Value) -> Void
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>? {
    list(values.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) { key, value in
      let entry = uninitialized(Entry.self)
      initialize(entry)
      set(entry, copy(key), value)
      return entry
    }
  }
}
