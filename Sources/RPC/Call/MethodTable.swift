/// Finds a method by its path. Built once; the set of paths is ours, so a fixed hash will do.
struct MethodTable: Sendable {
  let methods: [ServiceMethod]
  private let slots: [Int32]
  private let paths: [[UInt8]]
  private let mask: Int

  /// - Precondition: no path is there twice.
  init(_ methods: [ServiceMethod]) {
    self.methods = methods
    paths = methods.map { Array($0.path.utf8) }
    var size = 16
    while size < methods.count * 4 { size *= 2 }
    mask = size - 1
    var slots = [Int32](repeating: -1, count: size)
    for (index, path) in paths.enumerated() {
      var at = path.withUnsafeBytes { Self.hash($0) } & (size - 1)
      while slots[at] >= 0 {
        precondition(paths[Int(slots[at])] != path, "\(methods[index].path) is served twice")
        at = (at + 1) & (size - 1)
      }
      slots[at] = Int32(index)
    }
    self.slots = slots
  }

  /// The index of the method, or -1.
  func find(_ path: UnsafeRawBufferPointer) -> Int32 {
    find(Self.hash(count: path.count) { path[$0] }) { candidate in
      candidate.count == path.count && equalBytes(candidate, path)
    }
  }

  /// The index of the method whose path is `/service/method`, or -1.
  func find(service: UnsafeRawBufferPointer, method: UnsafeRawBufferPointer) -> Int32 {
    let slash = UInt8(ascii: "/")
    let middle = 1 + service.count
    let count = middle + 1 + method.count
    let hash = Self.hash(count: count) { index in
      index > middle
        ? method[index - middle - 1]
        : index == middle || index == 0 ? slash : service[index - 1]
    }
    return find(hash) { path in
      path.count == count && path[middle] == slash
        && equalBytes(UnsafeRawBufferPointer(rebasing: path[1..<middle]), service)
        && equalBytes(UnsafeRawBufferPointer(rebasing: path[(middle + 1)...]), method)
    }
  }

  @inline(__always)
  private func find(_ hash: Int, _ isWanted: (UnsafeRawBufferPointer) -> Bool) -> Int32 {
    var at = hash & mask
    while true {
      let index = slots[at]
      if index < 0 { return -1 }
      if paths[Int(index)].withUnsafeBytes(isWanted) { return index }
      at = (at + 1) & mask
    }
  }

  private static func hash(_ path: UnsafeRawBufferPointer) -> Int {
    hash(count: path.count) { path[$0] }
  }

  /// Methods of one package differ in their ends: the length and the last sixteen bytes.
  @inline(__always)
  private static func hash(count: Int, _ byte: (Int) -> UInt8) -> Int {
    var value: UInt64 = UInt64(count) &* 0x9E37_79B9_7F4A_7C15
    for index in (count - min(16, count))..<count {
      value = (value ^ UInt64(byte(index))) &* 0x100_0000_01B3
    }
    return Int(truncatingIfNeeded: (value ^ (value >> 29)) & 0x7FFF_FFFF)
  }
}
