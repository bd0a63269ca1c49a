import ArgumentParser
import Foundation
import TenancyRPC
import TenancyWire

/// How answers are shown.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  /// For people; may change.
  case table
  /// The message in proto3 JSON.
  case json
}

/// A message that people can read.
protocol Presentable: JSONRepresentable {
  func lines() -> [String]
}

struct OutputOptions: ParsableArguments {
  @Option(name: [.customShort("o"), .long], help: "How to show the answer.")
  var output = OutputFormat.table

  func show(_ message: some Presentable) { print(text(message)) }

  /// A page of a list. As JSON it is the message, so that what is missing is said on
  /// stderr, but not to those who go from page to page by themselves.
  func show(_ message: some Presentable, next token: String, of page: PageOptions) {
    show(message)
    guard output == .json, page.pageSize == 0, page.pageToken.isEmpty else { return }
    remark(Paging.note(token))
  }

  /// What is worth knowing besides, on stderr.
  func remark(_ lines: [String]) {
    for line in lines {
      FileHandle.standardError.write(Data("\(Printable.text(line))\n".utf8))
    }
  }

  /// For answers that say nothing but that it is done.
  func show(_ message: some JSONRepresentable, done: String) {
    switch output {
    case .table: print(Printable.text(done))
    case .json: print(Printable.json(message.json().text(pretty: true)))
    }
  }

  func text(_ message: some Presentable) -> String {
    switch output {
    case .table: message.lines().joined(separator: "\n")
    case .json: Printable.json(message.json().text(pretty: true))
    }
  }
}

extension WireEnum {
  /// The name without what all names of the enum begin with: `ACTIVE`. Empty for the zero value.
  var shortName: String {
    guard rawValue != 0 else { return "" }
    let prefix = Self.names[0].map { $0.dropLast("UNSPECIFIED".count) } ?? ""
    return String(protoName.hasPrefix(prefix) ? protoName.dropFirst(prefix.count) : protoName[...])
  }
}

extension GoogleProtobuf.Timestamp {
  /// RFC 3339, to the second.
  var text: String {
    guard case .string(let text) = Self(seconds: seconds).json() else { return "" }
    return text
  }
}
