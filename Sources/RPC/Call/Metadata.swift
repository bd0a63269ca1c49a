/// Call metadata: names in lower case, in the order received, repeats kept. The values of names that
/// end in `-bin` are still base64 here.
public struct Metadata: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  public private(set) var entries: [Entry] = []

  public struct Entry: Sendable, Hashable {
    public let name: String
    public let value: String
  }

  public init() {}

  public init(dictionaryLiteral elements: (String, String)...) {
    for (name, value) in elements { add(name, value) }
  }

  public mutating func add(_ name: String, _ value: String) {
    entries.append(Entry(name: name.lowercased(), value: value))
  }

  /// The values of a name (lower case), in order.
  public subscript(name: String) -> [String] {
    entries.compactMap { $0.name == name ? $0.value : nil }
  }
}
