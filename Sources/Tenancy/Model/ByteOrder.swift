/// Text in the order of its UTF-8 bytes: what it takes to compare two does not depend on what is in them, and the order
/// is that of the stores.
package struct ByteOrder: Comparable, Hashable, Sendable {
  /// As it was given.
  package let text: String

  /// Wraps a text.
  package init(_ text: String) { self.text = text }

  package static func == (a: Self, b: Self) -> Bool { a.text.hasSameBytes(as: b.text) }

  package func hash(into hasher: inout Hasher) {
    unsafe text.utf8Span.span.bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
  }

  package static func < (a: Self, b: Self) -> Bool { compare(a, b) < 0 }

  /// Less than 0, 0 or more, as `a` comes before `b`, is the same or comes behind.
  static func compare(_ a: Self, _ b: Self) -> Int {
    unsafe a.text.utf8Span.span.bytes.withUnsafeBytes { first in
      unsafe b.text.utf8Span.span.bytes.withUnsafeBytes { second in
        unsafe first.order(before: second)
      }
    }
  }
}

extension String {
  /// Whether both are the same bytes: `==` also holds for what only looks the same.
  @inline(__always)
  package func hasSameBytes(as other: String) -> Bool {
    guard utf8.count == other.utf8.count else { return false }
    return unsafe utf8Span.span.bytes.withUnsafeBytes { first in
      unsafe other.utf8Span.span.bytes.withUnsafeBytes { unsafe first.holdsSame(as: $0) }
    }
  }
}

extension UnsafeRawBufferPointer {
  /// Eight bytes at a time, as long as both have them.
  fileprivate func order(before other: UnsafeRawBufferPointer) -> Int {
    let shared = Swift.min(count, other.count)
    var at = 0
    while at + 8 <= shared {
      let a = UInt64(bigEndian: unsafe loadUnaligned(fromByteOffset: at, as: UInt64.self))
      let b = UInt64(bigEndian: unsafe other.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      if a != b { return a < b ? -1 : 1 }
      at += 8
    }
    while at < shared {
      let (a, b) = unsafe (self[at], other[at])
      if a != b { return a < b ? -1 : 1 }
      at += 1
    }
    return count - other.count
  }
}
