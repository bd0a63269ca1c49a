/// A hash table whose keys are UTF-8 text, looked up by raw bytes without making a `String`. A value:
/// changing a copy leaves the original alone, and copies no more than the nodes on the way to the key, so
/// that a change costs the same in a table of ten and of ten million.
///
/// A hash trie (Bagwell, "Ideal Hash Trees") whose leaves are short lists. Hashing is SipHash with a seed
/// of the process, so peers can't aim for one leaf.
public struct ByteTable<Value: Sendable>: Sendable {
  private typealias Slot = TableSlot<Value>

  private var root = TableNode<Value>.leaf([])
  /// Entries.
  public private(set) var count = 0

  /// An empty table.
  public init() {}

  /// A table of many, as fast as they can be sorted by their hashes. Of entries with one key the last stays.
  init(_ entries: [(key: String, value: Value)]) {
    var places: [TablePlace] = []
    places.reserveCapacity(entries.count)
    for (at, entry) in entries.enumerated() {
      let hash = unsafe ByteHash.hash(entry.key.utf8Span.span.bytes)
      places.append(TablePlace(hash: hash, at: at))
    }
    var space = places
    root = unsafe places.withUnsafeMutableBufferPointer { places in
      unsafe space.withUnsafeMutableBufferPointer { space in
        unsafe TableNode(entries, places, space, depth: 0, &count)
      }
    }
  }

  /// Whether there are no entries.
  public var isEmpty: Bool { count == 0 }

  /// A look-up by the key's UTF-8 bytes, without a `String`.
  @inline(__always)
  public func find(_ key: RawSpan) -> Value? {
    root.find(ByteHash.hash(key), key)
  }

  /// A look-up, or a change of this copy alone; nil removes.
  public subscript(key: String) -> Value? {
    get { unsafe find(key.utf8Span.span.bytes) }
    set {
      edit(key) { slots, position, hash in
        switch (position, newValue) {
        case (let position?, let value?):
          slots[position].value = value
        case (let position?, nil):
          slots.remove(at: position)
        case (nil, let value?):
          slots.append(Slot(hash: hash, key: key, value: value))
        case (nil, nil):
          break
        }
      }
    }
  }

  /// Changes the value of a key where it is, beginning with `fallback` if there is none. `change` says
  /// whether the key is to go.
  mutating func update(
    _ key: String, default fallback: @autoclosure () -> Value, _ change: (inout Value) -> Bool
  ) {
    edit(key) { slots, position, hash in
      if let position {
        if change(&slots[position].value) { slots.remove(at: position) }
      } else {
        var value = fallback()
        if !change(&value) { slots.append(Slot(hash: hash, key: key, value: value)) }
      }
    }
  }

  /// All keys and values, in no order.
  public var entries: [(key: String, value: Value)] {
    var entries: [(key: String, value: Value)] = []
    entries.reserveCapacity(count)
    root.collect(into: &entries)
    return entries
  }

  /// Nodes that are not shared with `other`, and bytes of them, roughly: for tests, which hold changes to
  /// what they touch.
  func unshared(with other: Self) -> (nodes: Int, bytes: Int) { root.unshared(with: other.root) }

  /// - Parameter body: gets the leaf of the key, where in it the key is, and its hash.
  private mutating func edit(_ key: String, _ body: (inout [Slot], Int?, UInt) -> Void) {
    let hash = unsafe ByteHash.hash(key.utf8Span.span.bytes)
    count += root.edit(path: hash, depth: 0) { slots in
      body(
        &slots, slots.firstIndex { $0.hash == hash && $0.key.utf8.elementsEqual(key.utf8) }, hash)
    }
  }
}

/// Where an entry of many is that make a table. Nothing to count references of: it is moved for free.
private struct TablePlace {
  let hash: UInt
  let at: Int
}

private struct TableSlot<Value: Sendable>: Sendable {
  let hash: UInt
  let key: String
  var value: Value
}

private enum TableNode<Value: Sendable>: Sendable {
  typealias Slot = TableSlot<Value>

  case leaf([Slot])
  /// As many as `fanOut`, by the next bits of the hash.
  case branch([TableNode])

  private static var bits: UInt { 5 }
  private static var fanOut: Int { 32 }
  /// Entries of a leaf before it becomes a branch.
  private static var capacity: Int { 12 }
  /// Where a hash has no more bits. Leaves there have no bound; only equal hashes lead to them.
  private static var maximumDepth: UInt { 12 }

  private static func child(_ path: UInt) -> Int { Int(path & UInt(fanOut - 1)) }

  /// - Parameters:
  ///   - places: of the entries of this node, in their order; left in any.
  ///   - space: as much again.
  ///   - count: grows by the keys.
  init(
    _ entries: [(key: String, value: Value)], _ places: UnsafeMutableBufferPointer<TablePlace>,
    _ space: UnsafeMutableBufferPointer<TablePlace>, depth: UInt, _ count: inout Int
  ) {
    guard places.count > Self.capacity, depth < Self.maximumDepth else {
      let slots = unsafe Self.slots(entries, places)
      count += slots.count
      self = .leaf(slots)
      return
    }
    let shift = depth * Self.bits
    var ends = [Int](repeating: 0, count: Self.fanOut)
    for at in places.indices { ends[Self.child(unsafe places[at].hash >> shift)] += 1 }
    for child in 1..<Self.fanOut { ends[child] += ends[child - 1] }
    var starts = [0] + ends.dropLast()
    for at in places.indices {
      let place = unsafe places[at]
      let child = Self.child(place.hash >> shift)
      unsafe space[starts[child]] = place
      starts[child] += 1
    }
    var children: [Self] = []
    children.reserveCapacity(Self.fanOut)
    var start = 0
    for end in ends {
      // In range: the ends rise to the number of places.
      unsafe children.append(
        Self(
          entries, UnsafeMutableBufferPointer(rebasing: space[start..<end]),
          UnsafeMutableBufferPointer(rebasing: places[start..<end]), depth: depth + 1, &count))
      start = end
    }
    self = .branch(children)
  }

  private static func slots(
    _ entries: [(key: String, value: Value)], _ places: UnsafeMutableBufferPointer<TablePlace>
  ) -> [Slot] {
    var slots: [Slot] = []
    slots.reserveCapacity(places.count)
    for at in places.indices {
      let place = unsafe places[at]
      let entry = entries[place.at]
      let former = slots.firstIndex { slot in
        slot.hash == place.hash && slot.key.utf8.elementsEqual(entry.key.utf8)
      }
      if let former {
        slots[former].value = entry.value
      } else {
        slots.append(Slot(hash: place.hash, key: entry.key, value: entry.value))
      }
    }
    return slots
  }

  /// Nothing on the way is retained: event loops would take a node's count of references from each other.
  func find(_ hash: UInt, _ key: RawSpan) -> Value? {
    // The root is the caller's for as long, and holds what is below it.
    unsafe withUnsafePointer(to: self) { root in
      var node = unsafe root
      var path = hash
      while let child = unsafe Self.child(of: node, path) {
        unsafe node = child
        path >>= Self.bits
      }
      guard let slots = unsafe Self.slots(of: node) else { return nil }
      for at in slots.indices where unsafe slots[at].hash == hash {
        if unsafe Self.equal(slots[at].key, key) { return unsafe slots[at].value }
      }
      return nil
    }
  }

  /// The next node on a path; nil: this is a leaf.
  @inline(__always)
  private static func child(of node: UnsafePointer<Self>, _ path: UInt) -> UnsafePointer<Self>? {
    guard case .branch(let children) = unsafe node.pointee else { return nil }
    // In range: a branch has as many children as a path can lead to.
    return unsafe children.withUnsafeBufferPointer {
      unsafe $0.baseAddress.map { unsafe $0 + child(path) }
    }
  }

  /// What a leaf holds; nil: this is none.
  @inline(__always)
  private static func slots(of node: UnsafePointer<Self>) -> UnsafeBufferPointer<Slot>? {
    guard case .leaf(let slots) = unsafe node.pointee else { return nil }
    return unsafe slots.withUnsafeBufferPointer { unsafe $0 }
  }

  @inline(__always)
  private static func equal(_ text: String, _ key: RawSpan) -> Bool {
    unsafe text.utf8Span.span.bytes.withUnsafeBytes { bytes in
      unsafe key.withUnsafeBytes { unsafe bytes.holdsSame(as: $0) }
    }
  }

  /// Changes a leaf; returns by how many entries it grew. Nodes that nobody else has are changed in place.
  mutating func edit(
    path: UInt, depth: UInt, _ body: (inout [Slot]) -> Void
  ) -> Int {
    switch self {
    case .leaf(var slots):
      // What was there is let go, so that it has one owner.
      self = .leaf([])
      let before = slots.count
      body(&slots)
      let growth = slots.count - before
      self =
        slots.count > Self.capacity && depth < Self.maximumDepth
        ? Self.split(slots, depth) : .leaf(slots)
      return growth
    case .branch(var children):
      self = .leaf([])
      let at = Self.child(path)
      let growth = children[at].edit(path: path >> Self.bits, depth: depth + 1, body)
      let isEmpty = growth < 0 && children[at].isEmptyLeaf && children.allSatisfy(\.isEmptyLeaf)
      self = isEmpty ? .leaf([]) : .branch(children)
      return growth
    }
  }

  private var isEmptyLeaf: Bool {
    if case .leaf(let slots) = self { slots.isEmpty } else { false }
  }

  private static func split(_ slots: [Slot], _ depth: UInt) -> Self {
    var leaves = [[Slot]](repeating: [], count: fanOut)
    for slot in slots { leaves[child(slot.hash >> (depth * bits))].append(slot) }
    return .branch(
      leaves.map { slots in
        slots.count > capacity && depth + 1 < maximumDepth ? split(slots, depth + 1) : .leaf(slots)
      })
  }

  func collect(into entries: inout [(key: String, value: Value)]) {
    switch self {
    case .leaf(let slots): for slot in slots { entries.append((slot.key, slot.value)) }
    case .branch(let children): for child in children { child.collect(into: &entries) }
    }
  }

  func unshared(with other: Self) -> (nodes: Int, bytes: Int) {
    switch (self, other) {
    case (.leaf(let slots), _):
      if case .leaf(let others) = other, slots.isSame(as: others) { return (0, 0) }
      return slots.isEmpty ? (0, 0) : (1, slots.count * MemoryLayout<Slot>.stride)
    case (.branch(let children), _):
      var (nodes, bytes) = (1, children.count * MemoryLayout<Self>.stride)
      var others = [Self](repeating: .leaf([]), count: children.count)
      if case .branch(let found) = other {
        if children.isSame(as: found) { return (0, 0) }
        others = found
      }
      for (child, other) in zip(children, others) {
        let more = child.unshared(with: other)
        (nodes, bytes) = (nodes + more.nodes, bytes + more.bytes)
      }
      return (nodes, bytes)
    }
  }
}

extension Array {
  /// Whether both have the same memory.
  func isSame(as other: Self) -> Bool {
    unsafe count == other.count
      && withUnsafeBufferPointer { mine in
        unsafe other.withUnsafeBufferPointer { unsafe mine.baseAddress == $0.baseAddress }
      }
  }
}
