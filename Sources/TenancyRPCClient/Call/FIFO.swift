/// A queue: first in, first out, each at constant cost on average.
struct FIFO<Element> {
  private var items: [Element?] = []
  private var head = 0

  var isEmpty: Bool { head == items.count }
  var count: Int { items.count - head }
  var first: Element? { isEmpty ? nil : items[head] }

  mutating func append(_ element: Element) { items.append(element) }

  mutating func append(contentsOf elements: some Sequence<Element>) {
    for element in elements { append(element) }
  }

  @discardableResult
  mutating func popFirst() -> Element? {
    guard head < items.count else { return nil }
    let element = items[head]
    items[head] = nil  // Its memory is free at once, and not when the array shrinks.
    head += 1
    if head == items.count {
      items.removeAll(keepingCapacity: items.capacity <= 64)
      head = 0
    } else if head >= 64, head * 2 >= items.count {
      items.removeFirst(head)
      head = 0
    }
    return element
  }

  mutating func removeAll() {
    items = []
    head = 0
  }
}
