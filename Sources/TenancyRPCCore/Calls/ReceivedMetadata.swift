internal import TenancyLoop

/// Metadata as it came in: bytes, of which text is made when somebody asks for it. Most handlers do not ask,
/// and a peer that sends much of it in few bytes must not have it all made into text.
package struct ReceivedMetadata: Sendable {
  /// Names, in lower case, and values, end to end.
  private let bytes: [UInt8]
  /// Where each name and its value end.
  private let ends: [(name: Int32, value: Int32)]

  init() {
    bytes = []
    ends = []
  }

  /// - Parameter bytes: names and values, in order, of which `ends` says where each ends.
  package init(_ bytes: UnsafeRawBufferPointer, ends: [(name: Int32, value: Int32)]) {
    self.bytes = Array(bytes)
    self.ends = ends
  }

  var entries: [RPCMetadata.Entry] {
    guard !ends.isEmpty else { return [] }
    var entries: [RPCMetadata.Entry] = []
    entries.reserveCapacity(ends.count)
    forEach { name, value in
      entries.append(RPCMetadata.Entry(name: Self.text(name), value: Self.text(value)))
    }
    return entries
  }

  /// Lends the values of a name, in order.
  func forEachValue(of name: String, _ body: (UnsafeRawBufferPointer) -> Void) {
    guard !ends.isEmpty else { return }
    var name = name
    name.withUTF8 { wanted in
      forEach { found, value in
        if found.count == wanted.count, equalBytes(found, UnsafeRawBufferPointer(wanted)) {
          body(value)
        }
      }
    }
  }

  /// The same for a name that is known when the program is built.
  func forEachValue(of name: StaticString, _ body: (UnsafeRawBufferPointer) -> Void) {
    guard !ends.isEmpty else { return }
    bytes.withUnsafeBytes { Self.forEachValue(of: name, in: $0, ends: ends, body) }
  }

  package static func forEachValue(
    of name: StaticString, in bytes: UnsafeRawBufferPointer,
    ends: [(name: Int32, value: Int32)], _ body: (UnsafeRawBufferPointer) -> Void
  ) {
    let wanted = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    var start = 0
    for (nameEnd, valueEnd) in ends {
      let (middle, end) = (Int(nameEnd), Int(valueEnd))
      if middle - start == wanted.count,
        equalBytes(UnsafeRawBufferPointer(rebasing: bytes[start..<middle]), wanted)
      {
        body(UnsafeRawBufferPointer(rebasing: bytes[middle..<end]))
      }
      start = end
    }
  }

  private func forEach(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) {
    bytes.withUnsafeBytes { all in
      var start = 0
      for (name, value) in ends {
        let (middle, end) = (Int(name), Int(value))
        body(
          UnsafeRawBufferPointer(rebasing: all[start..<middle]),
          UnsafeRawBufferPointer(rebasing: all[middle..<end]))
        start = end
      }
    }
  }

  func has(_ name: StaticString) -> Bool {
    bytes.withUnsafeBytes { Self.has(name, in: $0, ends: ends) }
  }

  /// Whether a name is among those that end where `ends` says, without making anything of them.
  package static func has(
    _ name: StaticString, in bytes: UnsafeRawBufferPointer, ends: [(name: Int32, value: Int32)]
  ) -> Bool {
    let wanted = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    var start = 0
    for (nameEnd, valueEnd) in ends {
      let middle = Int(nameEnd)
      if middle - start == wanted.count,
        equalBytes(UnsafeRawBufferPointer(rebasing: bytes[start..<middle]), wanted)
      {
        return true
      }
      start = Int(valueEnd)
    }
    return false
  }

  package static func text(_ bytes: UnsafeRawBufferPointer) -> String {
    String(decoding: bytes, as: UTF8.self)
  }
}
