import TenancyRPC

/// What the text of an Echo makes the server do before it answers.
enum EchoCommand: Hashable {
  /// `sleep:MS`.
  case sleep(milliseconds: UInt32)
  /// `fail:CODE:TEXT`, the code by its number or its name.
  case fail(RPCStatus)
  /// `md:KEY`.
  case metadata(key: String)
  /// `deadline`.
  case deadline
  /// Any other text.
  case none

  /// - Throws: INVALID_ARGUMENT for one of the commands with an argument that makes no sense.
  init(parsing text: String) throws(RPCStatus) {
    let parts = text.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
    switch (parts[0], parts.count) {
    case ("sleep", 2):
      guard let milliseconds = UInt32(parts[1]) else {
        throw RPCStatus(.invalidArgument, "sleep:MS needs a number")
      }
      self = .sleep(milliseconds: milliseconds)
    case ("fail", 3):
      guard let code = Self.code(parts[1]) else {
        throw RPCStatus(.invalidArgument, "fail:CODE:TEXT needs a status code other than OK")
      }
      self = .fail(RPCStatus(code, String(parts[2])))
    case ("md", 2): self = .metadata(key: parts[1].lowercased())
    case ("deadline", 1): self = .deadline
    default: self = .none
    }
  }

  /// Returns the text to answer with; nil: that of the request.
  func run(_ call: AsyncCall<some ServerDelegate>) async throws -> String? {
    switch self {
    case .sleep(let milliseconds):
      try await Task.sleep(for: .milliseconds(Int64(milliseconds)))
      return nil
    case .fail(let status): throw status
    case .metadata(let key): return call.metadata[key].first ?? ""
    case .deadline: return call.deadline == nil ? "no" : "yes"
    case .none: return nil
    }
  }

  /// `5`, `NOT_FOUND` or `NotFound`; `Canceled`, too, as Go has it.
  private static func code(_ text: Substring) -> RPCStatus.Code? {
    if let number = Int(text) {
      return (1...16).contains(number) ? RPCStatus.Code(number: number) : nil
    }
    let wanted = text.filter { $0 != "_" }.uppercased()
    if wanted == "CANCELED" { return .cancelled }
    return (1...16).lazy.map { RPCStatus.Code(number: $0) }
      .first { $0.description.filter { $0 != "_" } == wanted }
  }
}
