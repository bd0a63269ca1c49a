/// The elements of an ordered list from one of its places on. It gives them against a budget only, and
/// there is no other way through: a read that scans can't be written by mistake.
///
/// It holds the list as it was, and costs no more to begin and to go on in a long list than in a short one.
public struct Cursor<Element: Ordered>: Sendable {
  /// Of the leaf where it stands. Empty only at the end of all.
  private var rest: ArraySlice<Element>
  /// What comes behind that, the nearest last.
  private var behind: [ArraySlice<OrderedNode<Element>.Child>] = []

  /// A list of one.
  public init(only element: Element) { rest = [element] }

  /// The list of nothing.
  public init() { rest = [] }

  init(_ rest: ArraySlice<Element>) { self.rest = rest }

  init(_ tree: OrderedTree<Element>, after key: Element.OrderKey?) {
    rest = []
    var node = tree.root
    while case .branch(let children) = node {
      let at = key.map { OrderedNode.child(of: $0, children) } ?? 0
      behind.append(children[(at + 1)...])
      node = children[at].node  // In range: a branch is never empty.
    }
    if case .leaf(let elements) = node {
      rest =
        key.map { key in elements[elements.firstIndexAfterAll { $0.orderKey <= key }...] }
        ?? elements[...]
    }
    if rest.isEmpty { goOn() }
  }

  /// There are no more elements, whatever the budget.
  public var isAtEnd: Bool { rest.isEmpty }

  /// The next element; nil at the end, and once the budget is spent.
  public mutating func next(_ budget: inout WorkBudget) -> Element? {
    guard !budget.isSpent, let element = rest.popFirst() else { return nil }
    budget.visit()
    if rest.isEmpty { goOn() }
    return element
  }

  /// To the next leaf.
  private mutating func goOn() {
    while var children = behind.popLast() {
      guard var node = children.popFirst()?.node else { continue }
      behind.append(children)
      while case .branch(let more) = node {
        behind.append(more.dropFirst())
        guard let first = more.first else { break }
        node = first.node
      }
      if case .leaf(let elements) = node { rest = elements[...] }
      return
    }
  }
}

extension Array {
  /// Binary search in an array whose elements that satisfy `isBefore` all come first.
  func firstIndexAfterAll(_ isBefore: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
