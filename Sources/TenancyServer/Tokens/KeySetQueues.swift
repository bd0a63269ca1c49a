import Tenancy

/// First in, first out, at the same cost however many there are.
struct KeySetLine<Element> {
  private var elements: [Element?] = []
  private var first = 0

  var isEmpty: Bool { first == elements.count }

  mutating func append(_ element: Element) { elements.append(element) }

  mutating func popFirst() -> Element? {
    guard !isEmpty else { return nil }
    // In range: it is not empty.
    let element = elements[first]
    elements[first] = nil
    first += 1
    // Each is moved once for each that was taken, at most.
    if first * 2 >= elements.count {
      elements.removeFirst(first)
      first = 0
    }
    return element
  }
}

/// What is to be looked at at some time, the soonest first.
struct KeySetAgenda {
  struct Item {
    let tick: Int64
    let source: KeySource
  }

  /// A heap: none comes before the one at half its place.
  private var items: [Item] = []

  mutating func insert(_ item: Item) {
    items.append(item)
    var at = items.count - 1
    // In range: what is above one is before it.
    while at > 0, items[at].tick < items[(at - 1) / 2].tick {
      items.swapAt(at, (at - 1) / 2)
      at = (at - 1) / 2
    }
  }

  /// - Returns: nil where there is none for this tick or before.
  mutating func popFirst(until tick: Int64) -> Item? {
    guard let first = items.first, first.tick <= tick else { return nil }
    // In range: there is one.
    items.swapAt(0, items.count - 1)
    items.removeLast()
    var at = 0
    while true {
      var least = at
      for below in [2 * at + 1, 2 * at + 2]
      where below < items.count && items[below].tick < items[least].tick {
        least = below
      }
      if least == at { return first }
      items.swapAt(at, least)
      at = least
    }
  }
}
