/// First in, first out; both in constant time, amortised.
struct Fifo<Element> {
  /// Those before `head` are gone.
  private var slots: [Element?] = []
  private var head = 0

  /// Slots of elements that are gone, at most, beside as many as there are elements.
  private static var slack: Int { 32 }

  var count: Int { slots.count - head }
  var isEmpty: Bool { count == 0 }
  var first: Element? { isEmpty ? nil : slots[head] }

  mutating func append(_ element: Element) { slots.append(element) }

  mutating func popFirst() -> Element? {
    guard head < slots.count else { return nil }
    // Taken out, so that nothing is held longer than it waits.
    let element = slots[head].take()
    head += 1
    if head == slots.count {
      slots.removeAll(keepingCapacity: slots.capacity <= Self.slack)
      head = 0
    } else if head > Self.slack, head > slots.count / 2 {
      slots.removeFirst(head)
      head = 0
    }
    return element
  }
}
