import Foundation
import Tenancy

/// Fleet files and folders of them, as they are named on the command line.
enum FleetFiles {
  private static let endings: Set<String> = ["yaml", "yml", "json"]

  /// All tenants of all files.
  /// - Throws: `FleetFailure` with all that is wrong with them, `InputFailure` for what can't be read.
  static func read(_ paths: [String]) throws -> [FleetDocument] {
    var documents: [FleetDocument] = []
    var problems: [FleetProblem] = []
    for path in try paths.flatMap(files) {
      let name = path == "-" ? "stdin" : path
      let bytes = try InputFile.bytes(path, atMost: FleetReader.maximumBytes)
      guard let text = String(validating: bytes, as: UTF8.self) else {
        problems.append(FleetProblem(file: name, line: nil, field: "", text: "not UTF-8 text"))
        continue
      }
      let read = try FleetReader.read(text, file: name)
      documents += read.documents
      problems += read.problems
      if read.documents.isEmpty, read.problems.isEmpty {
        problems.append(
          FleetProblem(file: name, line: nil, field: "", text: "it declares no tenant"))
      }
    }
    problems += repeated(documents)
    guard problems.isEmpty else { throw FleetFailure(problems: problems) }
    return documents
  }

  /// Those of a folder are in the order of their names, with those below it; hidden ones are not read.
  private static func files(_ path: String) throws -> [String] {
    var isFolder: ObjCBool = false
    guard path != "-", unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
      isFolder.boolValue
    else { return [path] }
    let found = try below(path, "")
    guard !found.isEmpty else {
      throw InputFailure(reason: "\(path) has no .yaml, .yml or .json files")
    }
    return found.sorted().map { path.hasSuffix("/") ? path + $0 : "\(path)/\($0)" }
  }

  /// What can't be read must not look like tenants that nobody declares: links to folders are followed by nobody else,
  /// and refused.
  private static func below(_ root: String, _ folder: String) throws -> [String] {
    var found: [String] = []
    for name in try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(folder)") {
      if name.hasPrefix(".") { continue }
      let path = folder.isEmpty ? name : "\(folder)/\(name)"
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(root)/\(path)")
      switch attributes[.type] as? FileAttributeType {
      case .typeDirectory: found += try below(root, path)
      case .typeSymbolicLink where isFolder("\(root)/\(path)"):
        throw InputFailure(reason: "\(root)/\(path) is a link to a folder: name that folder itself")
      default:
        if endings.contains(URL(filePath: name).pathExtension) { found.append(path) }
      }
    }
    return found
  }

  private static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      && isFolder.boolValue
  }

  private static func repeated(_ documents: [FleetDocument]) -> [FleetProblem] {
    var first: [String: FleetDocument] = [:]
    return documents.compactMap { document in
      guard let other = first.updateValue(document, forKey: document.tenant.slug) else {
        return nil
      }
      return FleetProblem(
        file: document.file, line: document.line(of: "slug"), field: "slug",
        text: "'\(document.tenant.slug)' is declared in \(other.file):\(other.line) as well")
    }
  }
}

/// Where an export goes: the standard output, a file, or a file for each tenant in a folder.
final class FleetOutput {
  private enum Place {
    case output
    case file(String, draft: String, FileHandle)
    case folder(String)
  }

  private let place: Place

  /// - Parameter path: `-`, a file, or a folder, which is there or ends in a slash.
  init(_ path: String) throws(OutputFailure) {
    var isFolder: ObjCBool = false
    let exists = unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    do {
      if path == "-" {
        place = .output
      } else if path.hasSuffix("/") || (exists && isFolder.boolValue) {
        try FileManager.default.createDirectory(
          atPath: path, withIntermediateDirectories: true)
        place = .folder(path)
      } else {
        let draft = "\(path).\(ProcessInfo.processInfo.processIdentifier).draft"
        try Data().write(to: URL(filePath: draft), options: .withoutOverwriting)
        place = .file(path, draft: draft, try FileHandle(forWritingTo: URL(filePath: draft)))
      }
    } catch {
      throw OutputFailure(reason: error.localizedDescription)
    }
  }

  func write(_ text: String, of slug: String) throws(OutputFailure) {
    do {
      switch place {
      case .output: print(text, terminator: "")
      case .file(_, _, let handle): try handle.write(contentsOf: Data(text.utf8))
      case .folder(let path):
        // What is no slug could be a path to elsewhere.
        guard Slug(parsing: slug) != nil else {
          throw OutputFailure(reason: "the server calls a tenant '\(slug)'")
        }
        let file = URL(filePath: path).appending(path: "\(slug).yaml")
        try Data(text.utf8).write(to: file, options: .atomic)
      }
    } catch let failure as OutputFailure {
      throw failure
    } catch {
      throw OutputFailure(reason: error.localizedDescription)
    }
  }

  /// Puts a file in its place, as a whole.
  func finish() throws(OutputFailure) {
    guard case .file(let path, let draft, let handle) = place else { return }
    do {
      try handle.synchronize()
      try handle.close()
    } catch {
      throw OutputFailure(reason: error.localizedDescription)
    }
    guard unsafe rename(draft, path) == 0 else {
      throw unsafe OutputFailure(reason: String(cString: strerror(errno)))
    }
  }

  /// Leaves what there was.
  func abandon() {
    guard case .file(_, let draft, _) = place else { return }
    // Gone already, or nobody can remove it: the file that was asked for is not touched.
    try? FileManager.default.removeItem(atPath: draft)
  }
}
