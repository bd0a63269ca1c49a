/// How large a value can be, for the bound of costs. All of it saturates.
struct Shape {
  /// Bytes of a text, or elements of a list or map.
  var length: UInt64 = 1
  /// Units that it costs to look at all of it.
  var weight: UInt64 = 1
  /// The weight of the heaviest element.
  var inner: UInt64 = 1
  /// The length of the longest element.
  var innerLength: UInt64 = 1
  /// Lists and maps within one another.
  var depth: UInt64 = 0
  /// Bytes of the longest text that is in it, however deep, or is it.
  var text: UInt64 = 1

  static let scalar = Shape()

  static func text(bytes: UInt64) -> Shape {
    Shape(length: bytes, weight: bytes / 16 + 1, text: bytes)
  }

  static func list(_ count: UInt64, of element: Shape) -> Shape {
    Shape(
      length: count, weight: sum(1, product(count, sum(element.weight, 1))),
      inner: element.weight, innerLength: element.length, depth: element.depth + 1,
      text: element.text)
  }

  static func map(_ count: UInt64, _ key: Shape, _ value: Shape) -> Shape {
    Shape(
      length: count, weight: sum(1, product(count, sum(key.weight, value.weight, 1))),
      inner: max(key.weight, value.weight), innerLength: max(key.length, value.length),
      depth: value.depth + 1, text: max(key.text, value.text))
  }

  /// Any element, value or key.
  var element: Shape {
    // In a list without lists are texts and scalars.
    if depth <= 1 { return .text(bytes: text) }
    if depth == 2 {
      let element = Shape.text(bytes: text)
      return Shape(
        length: innerLength, weight: inner, inner: element.weight, innerLength: element.length,
        depth: 1, text: text)
    }
    return Shape(
      length: innerLength, weight: inner, inner: inner, innerLength: Shape.product(inner, 16),
      depth: depth - 1, text: text)
  }

  /// Units that it costs to look it up as a key, at most.
  var keyCost: UInt64 { length / 16 + 1 }

  /// Either of two.
  func joined(_ other: Shape) -> Shape {
    Shape(
      length: max(length, other.length), weight: max(weight, other.weight),
      inner: max(inner, other.inner), innerLength: max(innerLength, other.innerLength),
      depth: max(depth, other.depth), text: max(text, other.text))
  }

  /// One after the other.
  func concatenated(_ other: Shape) -> Shape {
    var result = joined(other)
    result.length = Shape.sum(length, other.length)
    result.weight = Shape.sum(weight, other.weight)
    result.text = Shape.sum(text, other.text)
    return result
  }

  /// What a declared attribute can be.
  init(_ type: ConditionType, _ bounds: ConditionAttributes.Bounds) {
    let bytes = UInt64(max(0, bounds.bytes))
    let count = UInt64(max(0, bounds.count))
    switch type {
    case .string, .bytes: self = .text(bytes: bytes)
    case .list(let element): self = .list(count, of: Shape(element, bounds))
    case .map(let key, let value):
      self = .map(count, Shape(key, bounds), Shape(value, bounds))
    case .dyn:
      let key = Shape.text(bytes: bytes)
      self = key
      for _ in 0..<max(0, min(bounds.depth, 8)) {
        self = Shape.map(count, key, self).joined(key)
      }
    default: self = .scalar
    }
  }

  /// What a constant is.
  init(_ value: ConditionValue) {
    switch value {
    case .string(let text): self = .text(bytes: UInt64(text.utf8.count))
    case .bytes(let bytes): self = .text(bytes: UInt64(bytes.count))
    case .list(let elements):
      let element = elements.reduce(Shape.scalar) { $0.joined(Shape($1)) }
      self = .list(UInt64(elements.count), of: element)
    case .map(let map):
      let key = map.entries.reduce(Shape.scalar) { $0.joined(Shape($1.key)) }
      let value = map.entries.reduce(Shape.scalar) { $0.joined(Shape($1.value)) }
      self = .map(UInt64(map.count), key, value)
    default: self = .scalar
    }
  }

  init(
    length: UInt64 = 1, weight: UInt64 = 1, inner: UInt64 = 1, innerLength: UInt64 = 1,
    depth: UInt64 = 0, text: UInt64 = 1
  ) {
    self.length = length
    self.weight = weight
    self.inner = inner
    self.innerLength = innerLength
    self.depth = depth
    self.text = text
  }

  static func sum(_ terms: UInt64...) -> UInt64 {
    terms.reduce(0) { total, term in
      let (sum, over) = total.addingReportingOverflow(term)
      return over ? .max : sum
    }
  }

  static func product(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let (product, over) = left.multipliedReportingOverflow(by: right)
    return over ? .max : product
  }
}
