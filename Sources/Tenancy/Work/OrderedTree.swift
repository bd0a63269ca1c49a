/// What can be kept in order of a key of its own.
public protocol Ordered: Sendable {
  /// Unique in a tree.
  associatedtype OrderKey: Comparable & Sendable
  /// Never changes.
  var orderKey: OrderKey { get }
}

/// Elements in order of their keys, each key once. A value: changing a copy leaves the original alone, and
/// copies no more than the nodes on the way to the key, so that a change costs the same among ten elements
/// and among ten million. Lists begin anywhere (`cursor(after:)`).
///
/// A B+ tree. What is added at the end fills its leaves, since ids grow with time.
struct OrderedTree<Element: Ordered>: Sendable {
  typealias Key = Element.OrderKey

  var root = OrderedNode<Element>.leaf([])
  private(set) var count = 0

  init() {}

  /// - Parameter elements: in order of their keys, each key once.
  init(sorted elements: [Element]) {
    count = elements.count
    root = OrderedNode(sorted: elements)
  }

  var isEmpty: Bool { count == 0 }

  func find(_ key: Key) -> Element? { root.find(key) }

  /// The element of the least key.
  var first: Element? { root.first }

  /// The elements behind that of `key`, or all.
  func cursor(after key: Key? = nil) -> Cursor<Element> { Cursor(self, after: key) }

  /// Adds an element, or puts it in the place of the one of its key, which is returned.
  @discardableResult
  mutating func put(_ element: Element) -> Element? {
    let (former, more) = root.put(element, isLast: true)
    if let more { root = .branch([.init(root), more]) }
    if former == nil { count += 1 }
    return former
  }

  /// Removes the element of a key, and returns it.
  @discardableResult
  mutating func remove(_ key: Key) -> Element? {
    guard let former = root.remove(key) else { return nil }
    count -= 1
    // A branch of one is its child.
    while case .branch(let children) = root, children.count <= 1 {
      root = children.first?.node ?? .leaf([])
    }
    return former
  }

  /// Nodes that are not shared with `other`: for tests, which hold changes to what they touch.
  func unsharedNodes(with other: Self) -> Int {
    var others = unsafe Set<UnsafeRawPointer>()
    unsafe other.root.visitNodes { unsafe others.insert($0) }
    var count = 0
    unsafe root.visitNodes { if unsafe !others.contains($0) { count += 1 } }
    return count
  }
}

enum OrderedNode<Element: Ordered>: Sendable {
  struct Child: Sendable {
    /// Not greater than any key of the node, and greater than all keys of the nodes before it: what the
    /// first key was when the node was made. Nothing is asked of the first node's.
    let start: Element.OrderKey
    var node: OrderedNode
  }

  /// Never empty, but for the root of an empty tree.
  case leaf([Element])
  /// Never empty.
  case branch([Child])

  /// Elements of a leaf, children of a branch.
  private static var capacity: Int { 32 }

  /// Of full nodes, as elements that are added one after the other at the end make them.
  init(sorted elements: [Element]) {
    var nodes = Self.parts(elements).map { Self.leaf($0) }
    while nodes.count > 1 { nodes = Self.parts(nodes.map { Child($0) }).map { Self.branch($0) } }
    self = nodes.first ?? .leaf([])
  }

  private static func parts<Part>(_ all: [Part]) -> [[Part]] {
    stride(from: 0, to: all.count, by: capacity).map { start in
      Array(all[start..<min(start + capacity, all.count)])
    }
  }

  func find(_ key: Element.OrderKey) -> Element? {
    switch self {
    case .leaf(let elements):
      let at = elements.firstIndexAfterAll { $0.orderKey < key }
      return at < elements.count && elements[at].orderKey == key ? elements[at] : nil
    case .branch(let children):
      return children[Self.child(of: key, children)].node.find(key)
    }
  }

  var first: Element? {
    switch self {
    case .leaf(let elements): elements.first
    case .branch(let children): children.first?.node.first
    }
  }

  static func child(of key: Element.OrderKey, _ children: [Child]) -> Int {
    max(0, children.firstIndexAfterAll { $0.start <= key } - 1)
  }

  /// - Parameter isLast: whether no node comes behind this one.
  /// - Returns: what was there, and a node that belongs behind this one.
  mutating func put(_ element: Element, isLast: Bool) -> (former: Element?, more: Child?) {
    switch self {
    case .leaf(var elements):
      // What was there is let go, so that it has one owner and is changed in place.
      self = .leaf([])
      let at = elements.firstIndexAfterAll { $0.orderKey < element.orderKey }
      if at < elements.count, elements[at].orderKey == element.orderKey {
        let former = elements[at]
        elements[at] = element
        self = .leaf(elements)
        return (former, nil)
      }
      let isAtEnd = isLast && at == elements.count
      elements.insert(element, at: at)
      let more = Self.split(&elements, isAtEnd).map { Child(.leaf($0)) }
      self = .leaf(elements)
      return (nil, more)
    case .branch(var children):
      self = .leaf([])
      let at = Self.child(of: element.orderKey, children)
      let isLast = isLast && at == children.count - 1
      let (former, new) = children[at].node.put(element, isLast: isLast)
      if let new { children.insert(new, at: at + 1) }
      let more = new.flatMap { _ in Self.split(&children, isLast) }
      self = .branch(children)
      // In range: what `split` returns is never empty.
      return (former, more.map { Child(start: $0[0].start, node: .branch($0)) })
    }
  }

  /// What is too much, never empty: half of all, or what was added at the end.
  private static func split<Part>(_ parts: inout [Part], _ isAtEnd: Bool) -> [Part]? {
    guard parts.count > capacity else { return nil }
    let kept = isAtEnd ? capacity : parts.count / 2
    let more = Array(parts[kept...])
    parts.removeSubrange(kept...)
    return more
  }

  /// May leave a node that is empty: its parent takes it out.
  mutating func remove(_ key: Element.OrderKey) -> Element? {
    switch self {
    case .leaf(var elements):
      let at = elements.firstIndexAfterAll { $0.orderKey < key }
      guard at < elements.count, elements[at].orderKey == key else { return nil }
      self = .leaf([])
      let former = elements.remove(at: at)
      self = .leaf(elements)
      return former
    case .branch(var children):
      self = .leaf([])
      let at = Self.child(of: key, children)
      let former = children[at].node.remove(key)
      if former != nil { Self.tidy(&children, at) }
      self = .branch(children)
      return former
    }
  }

  /// Joins a node that has become small with one beside it, so that what is left takes no more room than
  /// it needs.
  private static func tidy(_ children: inout [Child], _ at: Int) {
    let count = children[at].node.partCount
    if count == 0 {
      children.remove(at: at)
    } else if count <= capacity / 4 {
      for left in [at - 1, at] where left >= 0 && left + 1 < children.count {
        let right = children[left + 1].node
        guard children[left].node.partCount + right.partCount <= capacity / 2 else { continue }
        children[left].node.append(right)
        children.remove(at: left + 1)
        return
      }
    }
  }

  private var partCount: Int {
    switch self {
    case .leaf(let elements): elements.count
    case .branch(let children): children.count
    }
  }

  private mutating func append(_ other: Self) {
    switch (self, other) {
    case (.leaf(let elements), .leaf(let more)): self = .leaf(elements + more)
    case (.branch(let children), .branch(let more)): self = .branch(children + more)
    case (.leaf, .branch), (.branch, .leaf): break  // All leaves are at one depth.
    }
  }

  func visitNodes(_ visit: (UnsafeRawPointer) -> Void) {
    switch self {
    case .leaf(let elements):
      unsafe elements.withUnsafeBufferPointer {
        if let base = $0.baseAddress { unsafe visit(base) }
      }
    case .branch(let children):
      unsafe children.withUnsafeBufferPointer {
        if let base = $0.baseAddress { unsafe visit(base) }
      }
      for child in children { unsafe child.node.visitNodes(visit) }
    }
  }
}

extension OrderedNode.Child {
  /// - Parameter node: not empty.
  init(_ node: OrderedNode<Element>) {
    guard let first = node.first else { preconditionFailure("a node without elements") }
    self.init(start: first.orderKey, node: node)
  }
}
