import ArgumentParser
import Foundation

struct ImportPolicyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Makes policy files of Casbin's roles with domains.",
    discussion: """
      Reads lines `p, role, domain, object, action[, effect]` and `g, user, role, domain`: domains become tenants, one \
      file for each. If anything has no counterpart, all that is told, and nothing is written unless with --skip.
      """)

  @Option(help: "The CSV file; - for stdin.", completion: .file()) var casbin: String
  @Option(help: "Only this domain.") var domain: String?
  @Flag(help: "Leaves out what has no counterpart, and says so on stderr.") var skip = false
  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp(
      "A folder for a file of each domain, a file, or - for stdout.", valueName: "path"),
    completion: .file())
  var output = "-"

  func run() throws {
    let name = casbin == "-" ? "stdin" : casbin
    let bytes = try InputFile.bytes(casbin, atMost: PolicyReader.maximumBytes)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw InputFailure(reason: "\(name) is not UTF-8 text")
    }
    let found = CasbinPolicies(text, file: name)
    let failure = FleetFailure(
      problems: found.problems, heading: "not all of it has a counterpart")
    if !found.problems.isEmpty {
      guard skip else { throw failure }
      let lines = failure.lines.map(Printable.text).joined(separator: "\n")
      FileHandle.standardError.write(Data("\(lines)\n".utf8))
    }
    let policies = found.policies.filter { domain == nil || $0.key == domain }
      .sorted { $0.key < $1.key }
    guard !policies.isEmpty else { throw InputFailure(reason: "\(name) has no such policy") }
    let texts = try policies.map { (domain: $0.key, text: try Self.text($0.value, $0.key)) }
    let isFolder = output.hasSuffix("/") || Self.isFolder(output)
    guard texts.count == 1 || isFolder else {
      throw UsageError(
        "\(texts.count) domains: give one with --domain, or a folder with --output, which ends in /"
      )
    }
    let file = try FleetOutput(output)
    do {
      for one in texts { try file.write(one.text, of: one.domain) }
      try file.finish()
    } catch {
      file.abandon()
      throw error
    }
  }

  private static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      && isFolder.boolValue
  }

  /// What is not valid as a whole, such as roles that inherit from each other, is no policy.
  private static func text(_ policy: PolicyFile, _ domain: String) throws -> String {
    let text = try PolicyWriter.text(policy.sorted)
    let problems = try PolicyReader.read(text, file: domain).problems
    guard problems.isEmpty else {
      throw FleetFailure(problems: problems, heading: "what comes of it is not valid")
    }
    return text
  }
}
