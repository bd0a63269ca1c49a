/// C strings, or nothing in their place, in one piece of memory.
package struct CStrings {
  private var bytes: [CChar] = []
  private var offsets: [Int?] = []

  package init() {}

  package init(_ texts: some Sequence<String>) {
    for text in texts { append(text) }
  }

  package var count: Int { offsets.count }

  /// What follows a NUL in the text is lost.
  package mutating func append(_ text: String?) {
    guard let text else {
      offsets.append(nil)
      return
    }
    offsets.append(bytes.count)
    bytes.append(contentsOf: text.utf8.lazy.map { CChar(bitPattern: $0) })
    bytes.append(0)
  }

  /// Lends the strings, and a null pointer after the last.
  package func withPointers<Result>(
    _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
  ) -> Result {
    bytes.withUnsafeBufferPointer { buffer in
      var pointers = offsets.map { offset in
        offset.flatMap { offset in buffer.baseAddress.map { $0 + offset } }
      }
      pointers.append(nil)
      return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
    }
  }
}
