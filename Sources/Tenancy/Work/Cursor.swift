/// A way through a list, against a budget only: a read that scans can't be written by mistake.
public protocol ListCursor<Element> {
  /// What the list is of.
  associatedtype Element
  /// There are no more elements, whatever the budget.
  var isAtEnd: Bool { get }
  /// The next element; nil at the end, and once the budget is spent.
  mutating func next(_ budget: inout WorkBudget) -> Element?
}

/// The elements of an ordered list from one of its places on, up or down.
///
/// It holds the list as it was, and costs no more to begin and to go on in a long list than in a short one.
public struct Cursor<Element: Ordered>: ListCursor, Sendable {
  private let isDescending: Bool
  /// Of the leaf where it stands. Empty only at the end of all.
  private var rest: ArraySlice<Element>
  /// What comes behind that, the nearest last.
  private var behind: [ArraySlice<OrderedNode<Element>.Child>] = []

  /// A list of one.
  public init(only element: Element) { (rest, isDescending) = ([element], false) }

  /// The list of nothing.
  public init() { (rest, isDescending) = ([], false) }

  init(_ rest: ArraySlice<Element>) { (self.rest, isDescending) = (rest, false) }

  /// - Parameters:
  ///   - key: the elements behind it, on the way that it goes; nil: all.
  ///   - descending: from the greatest key to the least.
  init(_ tree: OrderedTree<Element>, after key: Element.OrderKey?, descending: Bool = false) {
    isDescending = descending
    rest = []
    var node = tree.root
    // In range: a branch is never empty.
    while case .branch(let children) = node {
      let at =
        key.map { OrderedNode.child(of: $0, children) } ?? (descending ? children.count - 1 : 0)
      behind.append(descending ? children[..<at] : children[(at + 1)...])
      node = children[at].node
    }
    if case .leaf(let elements) = node {
      guard let key else {
        rest = elements[...]
        return
      }
      rest =
        descending
        ? elements[..<elements.firstIndexAfterAll { $0.orderKey < key }]
        : elements[elements.firstIndexAfterAll { $0.orderKey <= key }...]
    }
    if rest.isEmpty { goOn() }
  }

  public var isAtEnd: Bool { rest.isEmpty }

  /// What `next` would give if there were budget.
  var upcoming: Element? { isDescending ? rest.last : rest.first }

  public mutating func next(_ budget: inout WorkBudget) -> Element? {
    guard !budget.isSpent, let element = isDescending ? rest.popLast() : rest.popFirst() else {
      return nil
    }
    budget.visit()
    if rest.isEmpty { goOn() }
    return element
  }

  /// To the next leaf.
  private mutating func goOn() {
    while var children = behind.popLast() {
      guard var node = (isDescending ? children.popLast() : children.popFirst())?.node else {
        continue
      }
      behind.append(children)
      while case .branch(let more) = node {
        behind.append(isDescending ? more.dropLast() : more.dropFirst())
        guard let first = isDescending ? more.last : more.first else { break }
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
