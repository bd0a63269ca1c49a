internal import TenancyLoop
internal import TenancyRPCCore

/// Finds a method by its path. Built once; the set of paths is ours, so a fixed hash will do.
struct MethodTable: Sendable {
  struct Entry: Sendable {
    /// `/package.Service/Method`.
    let path: String
    let kind: CallKind
    let answering: Answering
  }

  /// When the calls of a method are answered.
  enum Answering: Sendable {
    /// Before anything else is read.
    case atOnce
    /// Likewise, unless what a call's metadata say has it wait.
    case atOnceOrPutOff
    case later
  }

  let methods: [Entry]
  /// Theirs: what a call needs no more of.
  private let answering: [Answering]
  private let slots: [Int32]
  private let paths: [[UInt8]]
  private let mask: Int

  /// - Precondition: no path is there twice.
  init(_ methods: [Entry]) {
    self.methods = methods
    answering = methods.map(\.answering)
    paths = methods.map { Array($0.path.utf8) }
    var size = 16
    while size < methods.count * 4 { size *= 2 }
    mask = size - 1
    var slots = [Int32](repeating: -1, count: size)
    for (index, path) in paths.enumerated() {
      var at = path.withUnsafeBytes { Self.hash($0) } & (size - 1)
      while slots[at] >= 0 {
        // In range: the methods are ours.
        precondition(paths[Int(slots[at])] != path, "\(methods[index].path) is served twice")
        at = (at + 1) & (size - 1)
      }
      slots[at] = Int32(index)  // In range: the methods are ours.
    }
    self.slots = slots
  }

  @inline(__always)
  private subscript(index: Int32) -> Entry? {
    let index = Int(index)
    return methods.indices.contains(index) ? methods[index] : nil
  }

  @inline(__always)
  func answering(_ index: Int32) -> Answering {
    let index = Int(index)
    return answering.indices.contains(index) ? answering[index] : .later
  }

  /// Whether no asynchronous handler begins with a call; true where there is no method.
  func answersAtOnce(_ index: Int32) -> Bool {
    let index = Int(index)
    return !answering.indices.contains(index) || answering[index] != .later
  }

  /// Whether the requests of a method may have any number of messages; false where there is no method.
  @inline(__always)
  func clientStreams(_ index: Int32) -> Bool {
    self[index]?.kind.clientStreams ?? false
  }

  /// Likewise for its responses.
  func serverStreams(_ index: Int32) -> Bool {
    self[index]?.kind.serverStreams ?? false
  }

  /// The index of the method, or -1.
  func find(_ path: UnsafeRawBufferPointer) -> Int32 {
    find(Self.hash(path)) { candidate in
      candidate.count == path.count && equalBytes(candidate, path)
    }
  }

  /// The index of the method whose path is `/service/method`, or -1.
  func find(service: UnsafeRawBufferPointer, method: UnsafeRawBufferPointer) -> Int32 {
    let middle = 1 + service.count
    let count = middle + 1 + method.count
    return find(Self.hash(method: method, pathCount: count)) { path in
      path.count == count && path[middle] == Self.slash
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
      // In range: `init` has put it there.
      if paths[Int(index)].withUnsafeBytes(isWanted) { return index }
      at = (at + 1) & mask
    }
  }

  private static let slash = UInt8(ascii: "/")

  private static func hash(_ path: UnsafeRawBufferPointer) -> Int {
    var start = path.count
    while start > 0, path[start - 1] != slash { start -= 1 }
    return hash(method: UnsafeRawBufferPointer(rebasing: path[start...]), pathCount: path.count)
  }

  /// Methods differ in the length of their path, or in the first or last bytes of their name.
  @inline(__always)
  private static func hash(method: UnsafeRawBufferPointer, pathCount: Int) -> Int {
    var first: UInt64 = 0
    var last: UInt64 = 0
    if method.count >= 8 {
      first = method.loadUnaligned(as: UInt64.self)
      last = method.loadUnaligned(fromByteOffset: method.count - 8, as: UInt64.self)
    } else if method.count >= 4 {
      first = UInt64(method.loadUnaligned(as: UInt32.self))
      last = UInt64(method.loadUnaligned(fromByteOffset: method.count - 4, as: UInt32.self))
    } else {
      for byte in method { first = first << 8 | UInt64(byte) }
    }
    var value = (first ^ UInt64(truncatingIfNeeded: pathCount)) &* 0x9E37_79B9_7F4A_7C15
    value = (value ^ (value >> 32) ^ last) &* 0xD6E8_FEB8_6659_FD93
    return Int(truncatingIfNeeded: (value >> 32) & 0x7FFF_FFFF)
  }
}
