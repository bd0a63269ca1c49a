import ArgumentParser
import Foundation
import Tenancy
import TenancyStore

/// Where a server keeps its data. These commands work on files, and call no server.
struct DataDirectoryOption: ParsableArguments {
  @Option(help: "The data directory of the server, as its configuration says.")
  var dataDirectory: String

  var database: String { "\(dataDirectory)/tenancy.sqlite" }
}

struct BackupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Copies the embedded store, also under a running server.",
    discussion: """
      The file is there when it is complete, verified and on the disk, and not before. It is an SQLite \
      database, and behind it a manifest and a SHA-256; only its owner can read it. It holds what \
      the server knows, not the files below tenants/ in the data directory.
      """)

  @OptionGroup var place: DataDirectoryOption
  @Argument(help: "The file to be made.") var to: String
  @Flag(help: "Replaces a file that is there.") var replace = false
  @OptionGroup var output: OutputOptions

  func run() throws {
    let meter = ProgressMeter()
    defer { meter.end() }
    let backup = SQLiteBackup(
      of: place.database, to: to, replaces: replace, progress: meter.show)
    let made = try backup.run()
    meter.end()
    output.show(encodable: made, made.lines(verb: "Written"))
  }
}

struct VerifyBackupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify-backup",
    abstract: "Proves that a backup is whole, and that a server would serve what is in it.")

  @Argument(help: "The file.") var file: String
  @OptionGroup var output: OutputOptions

  func run() throws {
    let verified = try BackupFile.verify(file)
    output.show(encodable: verified, verified.lines(verb: "Sound"))
  }
}

struct RestoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Puts a backup in the place of the embedded store.",
    discussion: """
      No server may have the store. What was acknowledged after the backup is not in it: the server \
      does not start on it until you say that this is meant, by --accept here or by \
      `tenantd serve --accept-restored`. All etags and epochs change.
      """)

  @Argument(help: "The backup.") var from: String
  @OptionGroup var place: DataDirectoryOption
  @Flag(help: "Replaces a store that is there; it is renamed.") var replace = false
  @Flag(help: "Lets the server start on it.") var accept = false
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    if replace {
      try confirmation.confirm("Put \(from) in the place of the store in \(place.dataDirectory)?")
    }
    if unsafe mkdir(place.dataDirectory, 0o700) == 0 {
      let parent = unsafe open(
        URL(filePath: place.dataDirectory).standardized.deletingLastPathComponent().path,
        O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      // The new name must survive a power cut as well as what is in it.
      guard parent >= 0, fsync(parent) == 0, close(parent) == 0 else {
        throw StoreError(.unavailable, "cannot sync the directory of \(place.dataDirectory)")
      }
    } else if errno != EEXIST {
      throw StoreError(
        .unavailable,
        unsafe "cannot make \(place.dataDirectory): \(String(cString: strerror(errno)))")
    }
    let restore = SQLiteRestore(
      from: from, to: place.database, replaces: replace, accepts: accept)
    let report = try restore.run()
    output.show(encodable: report, report.lines)
  }
}

extension BackupFile {
  fileprivate func lines(verb: String) -> [String] {
    var fields = Fields()
    fields.add(verb, path)
    fields.add("Made", manifest.time)
    fields.add("Revision", String(manifest.revision))
    fields.add("Tenants", String(manifest.counts.tenants))
    fields.add("Roles", String(manifest.counts.roles))
    fields.add("Assignments", String(manifest.counts.assignments))
    fields.add("Log entries", String(manifest.counts.logEntries))
    fields.add("Schema version", String(manifest.schemaVersion))
    fields.add("Incarnation", manifest.incarnation?.id ?? "")
    fields.add("SHA-256", sha256)
    return fields.lines()
  }
}

extension SQLiteRestore.Report {
  fileprivate var lines: [String] {
    var fields = Fields()
    fields.add("Restored", store)
    fields.add("From", "\(backup.path), made \(backup.manifest.time)")
    fields.add("Revision", String(backup.manifest.revision))
    fields.add("Next revision", String(incarnation.firstRevision + 1))
    fields.add("Incarnation", incarnation.id)
    fields.add("Former store", replaced ?? "")
    fields.add("Its revision", incarnation.replacedRevision.map { String($0) } ?? "")
    if incarnation.state == .restored {
      fields.add("Start it with", "tenantd serve --accept-restored")
    }
    return fields.lines()
  }
}

extension OutputOptions {
  /// What is no message of the API.
  fileprivate func show(encodable value: some Encodable, _ lines: [String]) {
    switch output {
    case .table: print(lines.joined(separator: "\n"))
    case .json:
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      // Text and numbers alone: there is nothing in it that has no JSON form.
      let data = (try? encoder.encode(value)) ?? Data()
      print(String(decoding: data, as: UTF8.self))
    }
  }
}

/// How far something is, in one line of a terminal that changes; elsewhere nothing.
final class ProgressMeter {
  private let isShown = isatty(STDERR_FILENO) == 1
  private var last = -1

  func show(_ done: Int, _ all: Int) {
    let percent = all > 0 ? done * 100 / all : 100
    guard isShown, percent != last else { return }
    last = percent
    write("\r\(percent) %")
  }

  func end() {
    if last >= 0 { write("\r      \r") }
    last = -1
  }

  private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
