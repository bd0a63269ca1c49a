/// The elements of an ordered list from one of its places on. It gives them against a budget only, and
/// there is no other way through: a read that scans can't be written by mistake.
public struct Cursor<Element: Sendable>: Sendable {
  @usableFromInline var rest: ArraySlice<Element>

  init(_ rest: ArraySlice<Element>) { self.rest = rest }

  /// A list of one.
  public init(only element: Element) { rest = [element] }

  /// The list of nothing.
  public init() { rest = [] }

  /// There are no more elements, whatever the budget.
  @inlinable public var isAtEnd: Bool { rest.isEmpty }

  /// The next element; nil at the end, and once the budget is spent.
  @inlinable
  public mutating func next(_ budget: inout WorkBudget) -> Element? {
    guard !budget.isSpent, let element = rest.popFirst() else { return nil }
    budget.visit()
    return element
  }
}

extension Array {
  /// The elements behind those that satisfy `isBefore`, which all come first.
  func cursor(afterAll isBefore: (Element) -> Bool) -> Cursor<Element> where Element: Sendable {
    Cursor(self[firstIndexAfterAll(isBefore)...])
  }

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
