import CTenancyProtobufC
import TenancyRPC

extension Arena {
  /// A C array of map entries, as the runtime's function of this name makes it for other modules: in
  /// the order of the keys' bytes, since tenants say what is in their keys.
  func map<Value, Entry>(
    _ values: [String: Value],
    initialize: (UnsafeMutablePointer<Entry>?) -> Void,
    set: (UnsafeMutablePointer<Entry>, ProtobufCBinaryData, Value) -> Void
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>? {
    list(ByteOrder.sorted(values)) { key, value in
      let entry = uninitialized(Entry.self)
      initialize(entry)
      set(entry, copy(key), value)
      return entry
    }
  }
}
