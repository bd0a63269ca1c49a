/// Keys in the order of their bytes. Unlike the order of `String`, it costs the same for every text; and
/// what is in keys is for tenants to say.
enum ByteOrder {
  /// A member, as plain memory: sorting it counts no references.
  private struct Place {
    /// The key's first bytes: most keys differ there.
    let head: UInt64
    /// Where the key is among all keys.
    let start: Int
    let end: Int
    let member: Int
  }

  static func sorted<Value>(_ object: [String: Value]) -> [(key: String, value: Value)] {
    let members = Array(object)
    if members.count < 2 { return members }
    var keys: [UInt8] = []
    var places: [Place] = []
    places.reserveCapacity(members.count)
    for (member, (key, _)) in members.enumerated() {
      let start = keys.count
      keys.append(contentsOf: key.utf8)
      places.append(
        Place(head: head(keys[start...]), start: start, end: keys.count, member: member))
    }
    keys.withUnsafeBytes { keys in
      places.sort { a, b in
        a.head == b.head
          ? precedes(keys[a.start..<a.end], keys[b.start..<b.end]) : a.head < b.head
      }
    }
    return places.map { members[$0.member] }
  }

  private static func head(_ key: ArraySlice<UInt8>) -> UInt64 {
    var head: UInt64 = 0
    var shift: UInt64 = 64
    for byte in key.prefix(8) {
      shift -= 8
      head |= UInt64(byte) << shift
    }
    return head
  }

  static func precedes(
    _ a: Slice<UnsafeRawBufferPointer>, _ b: Slice<UnsafeRawBufferPointer>
  ) -> Bool {
    let (a, b) = (UnsafeRawBufferPointer(rebasing: a), UnsafeRawBufferPointer(rebasing: b))
    let common = min(a.count, b.count)
    var at = 0
    while at + 8 <= common {
      let x = a.loadUnaligned(fromByteOffset: at, as: UInt64.self)
      let y = b.loadUnaligned(fromByteOffset: at, as: UInt64.self)
      if x != y { return x.bigEndian < y.bigEndian }
      at += 8
    }
    while at < common, a[at] == b[at] { at += 1 }
    return at < common ? a[at] < b[at] : a.count < b.count
  }
}
