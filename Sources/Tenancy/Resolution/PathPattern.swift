/// Where a path names the tenant, such as `/api/*/orgs/{tenantId}/items`: a path that begins with these
/// segments does. `*` stands for any one segment.
public struct PathPattern: Sendable, CustomStringConvertible {
  private enum Segment: Sendable {
    case literal(String)
    case any
    case tenant
  }

  /// The literal segments that come first, with a slash at either end.
  private let prefix: String
  /// What comes behind them.
  private let rest: [Segment]
  /// The tenant is all that comes behind them.
  private let isPlain: Bool
  public let description: String

  /// `/tenants/{tenantId}`
  public static let tenants = PathPattern(prefix: "/tenants/")

  /// The segment that stands for the tenant.
  public static let placeholder = "{tenantId}"
  /// Bytes of the longest pattern.
  public static let maximumLength = 1024

  private init(prefix: String) {
    self.prefix = prefix
    rest = [.tenant]
    isPlain = true
    description = prefix + Self.placeholder
  }

  /// Refuses what no path that is accepted can match: empty and dot segments, escapes; braces and stars that
  /// are only a part of a segment; and patterns that name no tenant, or name it twice.
  public init?(parsing text: String) {
    guard text.utf8.first == UInt8(ascii: "/"), text.utf8.count <= Self.maximumLength else {
      return nil
    }
    var segments: [Segment] = []
    for part in text.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
      switch part {
      case Substring(Self.placeholder): segments.append(.tenant)
      case "*": segments.append(.any)
      default:
        guard Self.isLiteral(part) else { return nil }
        segments.append(.literal(String(part)))
      }
    }
    var prefix = "/"
    var places = 0
    var first = segments.count
    for (index, segment) in segments.enumerated() {
      switch segment {
      case .literal(let literal):
        if index < first { prefix += literal + "/" }
        continue
      case .any: break
      case .tenant: places += 1
      }
      first = min(first, index)
    }
    guard places == 1 else { return nil }
    self.prefix = prefix
    rest = Array(segments[first...])
    isPlain = rest.count == 1
    description = text
  }

  private static func isLiteral(_ part: Substring) -> Bool {
    let text = String(part)
    let isOrdinary = unsafe SelectorParsing.isOrdinary(text.utf8Span.span.bytes)
    return isOrdinary && text != "." && text != ".."
      && !text.utf8.contains { "{}*".utf8.contains($0) }
  }

  /// What comes before the tenant, if nothing comes behind it.
  var plainPrefix: String? { isPlain ? prefix : nil }

  /// Where the tenant's segment is in a path of clear segments; nil where the path is another one.
  func segment(in path: RawSpan) -> Range<Int>? {
    guard path.begins(with: prefix) else { return nil }
    return walk(path, prefix.utf8.count)
  }

  private func walk(_ path: RawSpan, _ first: Int) -> Range<Int>? {
    var start = first
    var found: Range<Int>?
    for index in rest.indices {
      let end = SelectorParsing.segmentEnd(path, from: start)
      switch rest[index] {
      case .tenant: found = start..<end
      case .any: guard end > start else { return nil }
      case .literal(let text):
        guard path.extracting(start..<end).equals(text) else { return nil }
      }
      guard index + 1 < rest.count else { break }
      guard end < path.byteCount, path.byte(end) == UInt8(ascii: "/") else { return nil }
      start = end + 1
    }
    return found
  }
}
