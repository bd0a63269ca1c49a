import ArgumentParser
import FoundationEssentials
import Glibc
import Tenancy
import TenancyStore

/// `tenantd check`.
struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Reads all of a store and reports what is wrong with it. Changes nothing.",
    discussion: """
      Also beside a server that runs. Each row that is wrong is reported, with the first thing that is \
      wrong with it. Rows of a store of an earlier version, which a server migrates when it starts, are \
      counted, not judged.

      EXIT CODES:
        0   the store is sound
        1   it is not, or it could not be read, or not be judged
        64  wrong usage
      """)

  @Option(help: "Configuration file (JSON5), which says where the data is.")
  var config: String?

  @Option(help: "The data directory.")
  var dataDirectory: String?

  @Flag(help: "Prints the report as JSON.")
  var json = false

  func validate() throws {
    guard (config == nil) != (dataDirectory == nil) else {
      throw ValidationError("give either --config FILE or --data-directory DIR")
    }
  }

  func run() throws {
    let directory = try config.map(Self.directory) ?? dataDirectory ?? ""
    let report: StoreReport
    do throws(StoreError) {
      report = try StoreCheck.run(path: "\(directory)/tenancy.sqlite")
    } catch {
      throw ConfigurationError(description: Self.printable(error.description))
    }
    print(json ? try Self.text(report) : Self.lines(report).joined(separator: "\n"))
    if !report.isSound { throw ExitCode(1) }
  }

  private static func directory(of file: String) throws -> String {
    let configuration = try Serve.read(file)
    guard configuration.store.isEmbedded else {
      throw ValidationError("only the embedded store is checked; \(file) has another")
    }
    return configuration.dataDirectory
  }

  private static func text(_ report: StoreReport) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(report), as: UTF8.self)
  }

  private static func lines(_ report: StoreReport) -> [String] {
    var lines = report.findings.map { printable($0.description) }
    if report.omittedFindings > 0 { lines.append("and \(report.omittedFindings) more") }
    if let counts = report.counts {
      lines.append(
        "revision \(report.revision), \(counts.tenants) tenants, \(counts.roles) roles, "
          + "\(counts.assignments) assignments, \(counts.logEntries) log entries")
    }
    if let incarnation = report.incarnation {
      lines.append(
        "incarnation \(incarnation.id), the \(incarnation.number)., from revision "
          + "\(incarnation.firstRevision) on\(remark(on: incarnation.state))")
    }
    if !report.isAudited, report.findings.isEmpty {
      lines.append("not judged: the rows of schema version \(report.schemaVersion)")
    } else {
      let count = report.findings.count + report.omittedFindings
      lines.append("\(report.path): \(count == 0 ? "sound" : "NOT SOUND: \(count) findings")")
    }
    return lines
  }

  private static func remark(on state: StoreIncarnation.State) -> String {
    switch state {
    case .current: ""
    case .copy: " (a backup: to be restored before it is served)"
    case .restored: " (restored: not served without --accept-restored)"
    }
  }

  /// What others may have written must not steer the terminal.
  private static func printable(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control where scalar != "\n", .format, .lineSeparator, .paragraphSeparator:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default:
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
