import Tenancy

/// The filter of ListTenants: a subset of AIP-160, comparisons joined by AND. Text is compared byte by
/// byte, so that a comparison costs little whatever is in it.
struct TenantFilter {
  private enum Pattern {
    case exact(String)
    case prefix(String)

    func matches(_ text: String) -> Bool {
      switch self {
      case .exact(let wanted):
        text.utf8.count == wanted.utf8.count && text.utf8.elementsEqual(wanted.utf8)
      case .prefix(let wanted): text.utf8.starts(with: wanted.utf8)
      }
    }
  }

  private struct Comparison {
    let field: String
    let isNegated: Bool
    let pattern: Pattern
  }

  /// Bytes of a filter.
  static let maximumLength = 2048

  private let comparisons: [Comparison]

  init(parsing text: String) throws(TenancyError) {
    guard text.utf8.count <= Self.maximumLength else {
      throw .invalid("filter", "longer than \(Self.maximumLength) bytes")
    }
    var tokens = try FilterTokens(text)
    var comparisons: [Comparison] = []
    while !tokens.isAtEnd {
      if !comparisons.isEmpty, try tokens.next() != .word("AND") {
        throw .invalid("filter", "comparisons are joined by AND")
      }
      comparisons.append(try Self.comparison(&tokens))
    }
    self.comparisons = comparisons
  }

  /// The slug that a tenant must have, where the filter names one: there is no need to look for it.
  var slug: String? {
    for comparison in comparisons where comparison.field == "slug" && !comparison.isNegated {
      if case .exact(let slug) = comparison.pattern { return slug }
    }
    return nil
  }

  func matches(_ tenant: Tenant, _ budget: inout WorkBudget) -> Bool {
    for comparison in comparisons {
      budget.visit()
      let value =
        switch comparison.field {
        case "state": tenant.state.rawValue
        case "isolation_model": tenant.isolationModel.rawValue
        case "slug": tenant.slug.text
        default: tenant.displayName
        }
      if comparison.pattern.matches(value) == comparison.isNegated { return false }
    }
    return true
  }

  private static func comparison(_ tokens: inout FilterTokens) throws(TenancyError) -> Comparison {
    guard case .word(let field) = try tokens.next(),
      ["state", "isolation_model", "slug", "display_name"].contains(field)
    else {
      throw .invalid("filter", "fields are state, isolation_model, slug and display_name")
    }
    guard case .symbol(let symbol) = try tokens.next() else {
      throw .invalid("filter", "expected = or != behind \(field)")
    }
    let value: String
    var pattern: Pattern
    switch try tokens.next() {
    case .word(let word):
      value = word
      pattern = .exact(word)
    case .text(let text):
      value = text
      pattern = text.hasSuffix("*") ? .prefix(String(text.dropLast())) : .exact(text)
    case .symbol, .end:
      throw .invalid("filter", "expected a value behind \(field)")
    }
    if field == "state" || field == "isolation_model" {
      pattern = .exact(try enumeration(field, value))
    }
    return Comparison(field: field, isNegated: symbol == "!=", pattern: pattern)
  }

  /// Enum values are written as in the API, with or without their prefix.
  private static func enumeration(_ field: String, _ value: String) throws(TenancyError) -> String {
    let prefix = field == "state" ? "TENANT_STATE_" : "ISOLATION_MODEL_"
    let name = (value.hasPrefix(prefix) ? String(value.dropFirst(prefix.count)) : value)
    let known =
      field == "state"
      ? TenantState.allCases.map(\.rawValue) : IsolationModel.allCases.map(\.rawValue)
    guard name == name.uppercased(), known.contains(name.lowercased()) else {
      throw .invalid("filter", "\"\(value)\" is no value of \(field)")
    }
    return name.lowercased()
  }
}

/// The words, symbols and quoted texts of a filter.
private struct FilterTokens {
  enum Token: Equatable {
    case word(String)
    case symbol(String)
    case text(String)
    case end
  }

  private var tokens: [Token] = []
  private var position = 0

  var isAtEnd: Bool { position == tokens.count }

  init(_ text: String) throws(TenancyError) {
    var rest = text.utf8[...]
    while let byte = rest.first {
      switch byte {
      case UInt8(ascii: " "):
        rest.removeFirst()
      case UInt8(ascii: "\""):
        rest.removeFirst()
        guard let close = rest.firstIndex(of: byte) else {
          throw .invalid("filter", "a quoted text is not closed")
        }
        tokens.append(.text(String(Substring(rest[..<close]))))
        rest = rest[rest.index(after: close)...]
      case UInt8(ascii: "!") where rest.dropFirst().first == UInt8(ascii: "="):
        tokens.append(.symbol("!="))
        rest.removeFirst(2)
      case UInt8(ascii: "="):
        tokens.append(.symbol("="))
        rest.removeFirst()
      default:
        let word = rest.prefix { Self.isWordByte($0) }
        guard !word.isEmpty else { throw .invalid("filter", "unexpected character") }
        tokens.append(.word(String(Substring(word))))
        rest = rest[word.endIndex...]
      }
    }
  }

  private static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  mutating func next() throws(TenancyError) -> Token {
    guard position < tokens.count else { return .end }
    position += 1
    return tokens[position - 1]
  }
}
