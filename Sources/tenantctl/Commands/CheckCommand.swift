import ArgumentParser
import Tenancy
import TenancyTokens
import TenancyWire

/// What conditions are evaluated with.
struct AttributeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Of the subject, for conditions: a JSON object.", valueName: "json"))
  var subjectAttributes: String?
  @Option(help: ArgumentHelp("Of the resource, likewise.", valueName: "json"))
  var resourceAttributes: String?
  @Option(help: ArgumentHelp("Of the request, likewise.", valueName: "json"))
  var context: String?

  /// Nil: none are told.
  func message() throws(UsageError) -> V1.CheckAttributes? {
    let told = V1.CheckAttributes(
      subject: try Self.object(subjectAttributes, "--subject-attributes"),
      resource: try Self.object(resourceAttributes, "--resource-attributes"),
      context: try Self.object(context, "--context"))
    return told == V1.CheckAttributes() ? nil : told
  }

  private static func object(
    _ text: String?, _ option: String
  ) throws(UsageError) -> [String: JSONValue]? {
    guard let text else { return nil }
    let value: TokenJSON
    do throws(TokenJSONError) {
      // The server takes less.
      value = try TokenJSONReader.value(Array(text.utf8), TokenJSONReader.Limits(bytes: 1 << 20))
    } catch {
      throw UsageError("\(option) is not JSON as it is read here: \(error.rawValue)")
    }
    guard case .object(let members) = JSONValue(value) else {
      throw UsageError("\(option) is a JSON object, such as '{\"name\": \"value\"}'")
    }
    return members
  }
}

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "May somebody do something in a tenant?",
    discussion: "Exits with 0 if all is allowed, with 3 if anything is denied.")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "Who: user:alice, or a SPIFFE ID.") var subject: String?
  @Argument(help: "What: resource:action.") var permission: String?
  @Option(
    help: ArgumentHelp(
      "Lines of SUBJECT PERMISSION [RESOURCE] to check; - for stdin.", valueName: "file"))
  var batch: String?
  @Option(help: "Which one of the permission's resources, such as 42; all of them unless told.")
  var resource = ""
  @OptionGroup var attributes: AttributeOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    let single = subject != nil && permission != nil && batch == nil
    guard single || (subject == nil && batch != nil) else {
      throw ValidationError("Give a subject and a permission, or --batch.")
    }
    guard resource.isEmpty || batch == nil else {
      throw ValidationError("With --batch, resources stand in the lines.")
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

  func request() throws(UsageError) -> V1.CheckRequest {
    V1.CheckRequest(
      tenant: try tenant.name(), subject: subject ?? "", permission: permission ?? "",
      resource: resource, attributes: try attributes.message())
  }

  private func runSingle() async throws -> Bool {
    let request = try request()
    let answer = try await server.connected {
      try await $0.authorization.check(request, options: $0.options)
    }
    output.show(answer)
    return answer.allowed
  }

  private func runBatch(_ file: BatchFile) async throws -> Bool {
    let name = try tenant.name()
    let attributes = try attributes.message()
    let results = try await server.connected { connection in
      var results: [V1.CheckResponse] = []
      for items in file.calls {
        let answer = try await connection.authorization.batchCheck(
          V1.BatchCheckRequest(tenant: name, items: items, attributes: attributes),
          options: connection.options)
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
      let what = item.permission + (item.resource.isEmpty ? "" : " \(item.resource)")
      table.add(result.verdict, what, item.subject, result.explanation)
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
      guard words.count == 2 || words.count == 3 else {
        throw UsageError("line \(index + 1) is not SUBJECT PERMISSION [RESOURCE]")
      }
      items.append(
        V1.BatchCheckItem(
          subject: String(words[0]), permission: String(words[1]),
          resource: words.dropFirst(2).first.map(String.init) ?? ""))
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
