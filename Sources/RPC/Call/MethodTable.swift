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
    var at = Self.hash(path) & mask
    while true {
      let index = slots[at]
      if index < 0 { return -1 }
      let same = paths[Int(index)].withUnsafeBytes {
        $0.count == path.count && equalBytes($0, path)
      }
      if same { return index }
      at = (at + 1) & mask
    }
  }

  /// Methods of one package differ in their ends: the length and the last sixteen bytes.
  private static func hash(_ path: UnsafeRawBufferPointer) -> Int {
    var value: UInt64 = UInt64(path.count) &* 0x9E37_79B9_7F4A_7C15
    let tail = min(16, path.count)
    for offset in (path.count - tail)..<path.count {
      value = (value ^ UInt64(path[offset])) &* 0x100_0000_01B3
    }
    return Int(truncatingIfNeeded: (value ^ (value >> 29)) & 0x7FFF_FFFF)
  }
}
