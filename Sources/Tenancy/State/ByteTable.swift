/// An immutable-by-sharing hash table whose keys are UTF-8 text, looked up by raw bytes without
/// making a `String`. A copy is cheap, and changing a copy leaves the original alone: it copies one
/// bucket and the list of buckets.
///
/// Hashing is SipHash with a seed of the process, so peers can't aim for one bucket.
public struct ByteTable<Value: Sendable>: Sendable {
  private struct Slot: Sendable {
    let hash: Int
    let key: String
    var value: Value
  }

  /// Average entries in a bucket before the number of buckets doubles.
  private static var load: Int { 8 }

  /// A power of two, or none while the table is empty.
  private var buckets: [[Slot]] = []
  public private(set) var count = 0

  public init() {}

  public var isEmpty: Bool { count == 0 }

  @inline(__always)
  public func find(_ key: RawSpan) -> Value? {
    guard count > 0 else { return nil }
    return key.withUnsafeBytes { bytes in
      let hash = Self.hash(bytes)
      for slot in buckets[hash & (buckets.count - 1)]
      where slot.hash == hash && Self.equal(slot.key, bytes) {
        return slot.value
      }
      return nil
    }
  }

  public subscript(key: String) -> Value? {
    get { find(key.utf8Span.span.bytes) }
    set {
      if buckets.isEmpty { buckets = [[]] }
      let hash = key.utf8Span.span.bytes.withUnsafeBytes { Self.hash($0) }
      let bucket = hash & (buckets.count - 1)
      let position = buckets[bucket].firstIndex { $0.hash == hash && $0.key == key }
      switch (position, newValue) {
      case (let position?, let value?):
        buckets[bucket][position].value = value
      case (let position?, nil):
        buckets[bucket].remove(at: position)
        count -= 1
      case (nil, let value?):
        buckets[bucket].append(Slot(hash: hash, key: key, value: value))
        count += 1
        if count > buckets.count * Self.load { grow() }
      case (nil, nil):
        break
      }
    }
  }

  /// Changes the value of a key where it is, beginning with `fallback` if there is none. `change` says
  /// whether the key is to go.
  mutating func update(
    _ key: String, default fallback: @autoclosure () -> Value, _ change: (inout Value) -> Bool
  ) {
    if buckets.isEmpty { buckets = [[]] }
    let hash = key.utf8Span.span.bytes.withUnsafeBytes { Self.hash($0) }
    let bucket = hash & (buckets.count - 1)
    guard let position = buckets[bucket].firstIndex(where: { $0.hash == hash && $0.key == key })
    else {
      var value = fallback()
      if !change(&value) { self[key] = value }
      return
    }
    if change(&buckets[bucket][position].value) {
      buckets[bucket].remove(at: position)
      count -= 1
    }
  }

  /// All keys and values, in no order.
  public var entries: [(key: String, value: Value)] {
    buckets.joined().map { ($0.key, $0.value) }
  }

  private mutating func grow() {
    var larger = [[Slot]](repeating: [], count: buckets.count * 2)
    for bucket in buckets {
      for slot in bucket { larger[slot.hash & (larger.count - 1)].append(slot) }
    }
    buckets = larger
  }

  @inline(__always)
  private static func hash(_ bytes: UnsafeRawBufferPointer) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: bytes)
    return hasher.finalize()
  }

  @inline(__always)
  private static func equal(_ key: String, _ bytes: UnsafeRawBufferPointer) -> Bool {
    let text = key.utf8
    guard text.count == bytes.count else { return false }
    return text.withContiguousStorageIfAvailable { UnsafeRawBufferPointer($0).elementsEqual(bytes) }
      ?? text.elementsEqual(bytes)
  }
}
