/// A table of words whose keys are UTF-8 text, looked up by raw bytes. A value: changing a copy leaves the original
/// alone, and copies no more than the page of the key and the way to it.
///
/// It is laid out for look-ups that wait for memory: some hundred keys and words are in one piece of it, so that most
/// look-ups of short keys touch two cache lines of it. Hashing is SipHash with a key of the process, so that peers
/// can't aim for one slot.
struct WordTable: Sendable {
  private var root = WordNode.page(WordPage())
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// The word of a key; nil: there is none.
  @inline(__always)
  func find(_ key: RawSpan) -> UInt64? {
    if count == 0 { return nil }
    return root.find(ByteHash.hash(key), key)
  }

  /// Puts a word in, or with nil takes the key out.
  mutating func set(_ key: String, _ word: UInt64?) {
    let hash = unsafe ByteHash.hash(key.utf8Span.span.bytes)
    count += root.edit(path: hash, depth: 0) { page in
      unsafe page.set(key.utf8Span.span.bytes, hash, word)
    }
  }

  /// Nodes that are not shared with `other`: for tests, which hold changes to what they touch.
  func unsharedNodes(with other: Self) -> Int { root.unsharedNodes(with: other.root) }

  /// Memory of its pages: for tests.
  var bytes: Int { root.bytes }
}

private enum WordNode: Sendable {
  case page(WordPage)
  /// As many as `fanOut`, by the next bits of the hash.
  case branch([WordNode])

  private static var bits: UInt { 4 }
  private static var fanOut: Int { 16 }
  /// The lower half of a hash leads to a page; the other places its entry there. Pages at this depth have no bound.
  private static var maximumDepth: UInt { 8 }

  private static func child(_ path: UInt) -> Int { Int(path & UInt(fanOut - 1)) }

  /// Nothing on the way is retained: event loops would take a node's count of references from each other.
  @inline(__always)
  func find(_ hash: UInt, _ key: RawSpan) -> UInt64? {
    // The root is the caller's for as long, and holds what is below it.
    unsafe withUnsafePointer(to: self) { root in
      var node = unsafe root
      var path = hash
      while let child = unsafe Self.child(of: node, path) {
        unsafe node = child
        path >>= Self.bits
      }
      guard case .page(let page) = unsafe node.pointee else { return nil }
      return page.find(hash, key)
    }
  }

  /// The next node on a path; nil: this is a page.
  @inline(__always)
  private static func child(of node: UnsafePointer<Self>, _ path: UInt) -> UnsafePointer<Self>? {
    guard case .branch(let children) = unsafe node.pointee else { return nil }
    // In range: a branch has as many children as a path can lead to.
    return unsafe children.withUnsafeBufferPointer {
      unsafe $0.baseAddress.map { unsafe $0 + child(path) }
    }
  }

  /// Changes a page; returns by how many entries it grew. Nodes that nobody else has are changed in place.
  mutating func edit(path: UInt, depth: UInt, _ body: (inout WordPage) -> Void) -> Int {
    switch self {
    case .page(var page):
      // What was there is let go, so that it has one owner.
      self = .page(WordPage())
      let before = page.count
      body(&page)
      let growth = page.count - before
      self =
        page.count > WordPage.capacity && depth < Self.maximumDepth
        ? Self.split(page, depth) : .page(page)
      return growth
    case .branch(var children):
      self = .page(WordPage())
      let at = Self.child(path)
      let growth = children[at].edit(path: path >> Self.bits, depth: depth + 1, body)
      let isEmpty = growth < 0 && children.allSatisfy(\.isEmptyPage)
      self = isEmpty ? .page(WordPage()) : .branch(children)
      return growth
    }
  }

  private var isEmptyPage: Bool {
    if case .page(let page) = self { page.count == 0 } else { false }
  }

  private static func split(_ page: WordPage, _ depth: UInt) -> Self {
    var pages = [WordPage](repeating: WordPage(), count: fanOut)
    page.forEach { key, word in
      let hash = ByteHash.hash(key)
      pages[child(hash >> (depth * bits))].set(key, hash, word)
    }
    return .branch(
      pages.map { page in
        page.count > WordPage.capacity && depth + 1 < maximumDepth
          ? split(page, depth + 1) : .page(page)
      })
  }

  var bytes: Int {
    switch self {
    case .page(let page): page.bytes
    case .branch(let children): children.reduce(0) { $0 + $1.bytes }
    }
  }

  func unsharedNodes(with other: Self) -> Int {
    switch (self, other) {
    case (.page(let page), .page(let former)):
      return page.count == 0 || page.isSame(as: former) ? 0 : 1
    case (.page(let page), .branch): return page.count == 0 ? 0 : 1
    case (.branch(let children), .page):
      return children.reduce(1) { $0 + $1.unsharedNodes(with: .page(WordPage())) }
    case (.branch(let children), .branch(let others)):
      if children.isSame(as: others) { return 0 }
      return zip(children, others).reduce(1) { $0 + $1.0.unsharedNodes(with: $1.1) }
    }
  }
}
