internal import CTenancyNghttp2

/// The header fields of a request, gathered in one buffer.
struct RequestFields {
  private var text: [UInt8] = []
  private var fields: [(name: Int, value: Int, isIndexed: Bool)] = []

  init() {
    text.reserveCapacity(256)
    fields.reserveCapacity(12)
  }

  /// - Parameter isIndexed: false keeps the field out of the compression table.
  mutating func add(_ name: String, _ value: String, isIndexed: Bool = true) {
    text.append(contentsOf: name.utf8)
    text.append(contentsOf: value.utf8)
    fields.append((name.utf8.count, value.utf8.count, isIndexed))
  }

  /// Lends the fields as nghttp2 takes them; it copies them.
  func withNative<R>(_ body: (UnsafePointer<nghttp2_nv>?, Int) -> R) -> R {
    text.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return body(nil, 0) }
      var native: [nghttp2_nv] = []
      native.reserveCapacity(fields.count)
      var at = UnsafeMutablePointer(mutating: base)  // nghttp2 reads only.
      for field in fields {
        let flags = field.isIndexed ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX
        native.append(
          nghttp2_nv(
            name: at, value: at + field.name, namelen: field.name, valuelen: field.value,
            flags: UInt8(truncatingIfNeeded: flags.rawValue)))
        at += field.name + field.value
      }
      return native.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
    }
  }
}
