import ArgumentParser
import TenancyWire

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "May somebody do something in a tenant?",
    discussion: "Exits with 0 if all is allowed, with 3 if anything is denied.")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "Who: user:alice, or a SPIFFE ID.") var subject: String?
  @Argument(help: "What: resource:action.") var permission: String?
  @Option(
    help: ArgumentHelp("Lines of SUBJECT PERMISSION to check; - for stdin.", valueName: "file"))
  var batch: String?
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    let single = subject != nil && permission != nil && batch == nil
    guard single || (subject == nil && batch != nil) else {
      throw ValidationError("Give a subject and a permission, or --batch.")
    }
  }

  func run() async throws {
    let allowed =
      if let batch {
        try await runBatch(try BatchFile(parsing: try InputFile.text(batch)))
      } else {
        try await runSingle()
      }
    if !allowed { throw ExitCode(Failure.answerIsNo) }
  }

  private func runSingle() async throws -> Bool {
    let request = V1.CheckRequest(
      tenant: try tenant.name(), subject: subject ?? "", permission: permission ?? "")
    let answer = try await server.connected {
      try await $0.authorization.check(request, options: $0.options)
    }
    output.show(answer)
    return answer.allowed
  }

  private func runBatch(_ file: BatchFile) async throws -> Bool {
    let name = try tenant.name()
    let results = try await server.connected { connection in
      var results: [V1.CheckResponse] = []
      for items in file.calls {
        let answer = try await connection.authorization.batchCheck(
          V1.BatchCheckRequest(tenant: name, items: items), options: connection.options)
        results += answer.results
      }
      return results
    }
    // An answer that lacks a line grants nothing.
    let isComplete = results.count == file.items.count
    switch output.output {
    case .json: print(V1.BatchCheckResponse(results: results).json().text(pretty: true))
    case .table: print(Self.table(file.items, results).joined(separator: "\n"))
    }
    return isComplete && results.allSatisfy(\.allowed)
  }

  static func table(_ items: [V1.BatchCheckItem], _ results: [V1.CheckResponse]) -> [String] {
    var table = Table("ANSWER", "PERMISSION", "SUBJECT", "WHY")
    for (item, result) in zip(items, results) {
      table.add(result.verdict, item.permission, item.subject, result.explanation)
    }
    return table.lines()
  }
}

/// A file with a check on each line.
struct BatchFile {
  /// Most checks in one call, by the API.
  static let callLimit = 1_000

  let items: [V1.BatchCheckItem]

  /// Empty lines and those that begin with `#` don't count.
  init(parsing text: String) throws(UsageError) {
    var items: [V1.BatchCheckItem] = []
    let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    for (index, line) in lines.enumerated() {
      let words = line.split(whereSeparator: \.isWhitespace)
      if words.isEmpty || line.hasPrefix("#") { continue }
      guard words.count == 2 else {
        throw UsageError("line \(index + 1) is not SUBJECT PERMISSION")
      }
      items.append(V1.BatchCheckItem(subject: String(words[0]), permission: String(words[1])))
    }
    guard !items.isEmpty else { throw UsageError("there is nothing to check in the file") }
    self.items = items
  }

  /// The items, in parts that one call takes.
  var calls: [[V1.BatchCheckItem]] {
    stride(from: 0, to: items.count, by: Self.callLimit).map {
      Array(items[$0..<min($0 + Self.callLimit, items.count)])
    }
  }
}
