import Foundation

/// Columns of text for people.
struct Table {
  private let header: [String]
  private var rows: [[String]] = []

  init(_ header: String...) { self.header = header }

  /// Empty cells show as `-`, so that columns can be counted.
  mutating func add(_ cells: String...) {
    rows.append(cells.map { $0.isEmpty ? "-" : Printable.text($0) })
  }

  /// One line for the header and each row. The last column is not padded.
  /// - Parameters:
  ///   - width: longer lines are cut; nil: none are.
  ///   - expendable: the column that is left out if lines would have to be cut.
  func lines(width: Int? = Terminal.width, expendable: String? = nil) -> [String] {
    let all = Self.align([header] + rows, gap: 2)
    guard let width, all.contains(where: { $0.count > width }) else { return all }
    let dropped = header.firstIndex { $0 == expendable }
    let kept = ([header] + rows).map { row in
      row.enumerated().filter { $0.offset != dropped }.map(\.element)
    }
    return Self.align(kept, gap: 2).map { line in
      line.count > width ? line.prefix(max(0, width - 1)) + "…" : line
    }
  }

  /// Pads every cell but the last of its row to the widest in its column.
  static func align(_ rows: [[String]], gap: Int) -> [String] {
    var widths: [Int] = []
    return align(rows, gap: gap, atLeast: &widths)
  }

  /// - Parameter widths: of the columns so far; they grow.
  static func align(_ rows: [[String]], gap: Int, atLeast widths: inout [Int]) -> [String] {
    for row in rows {
      for (column, cell) in row.enumerated() {
        if column == widths.count { widths.append(0) }
        widths[column] = max(widths[column], cell.count)
      }
    }
    let widths = widths
    return rows.map { row in
      row.enumerated().map { column, cell in
        let padding = column == row.count - 1 ? 0 : widths[column] - cell.count + gap
        return cell + String(repeating: " ", count: padding)
      }.joined()
    }
  }
}

/// Names and values, one below the other.
struct Fields {
  private var rows: [[String]] = []

  /// Values that are empty are left out.
  mutating func add(_ name: String, _ value: String) {
    if !value.isEmpty { rows.append(["\(name):", Printable.text(value)]) }
  }

  /// Several values below one name.
  mutating func add(_ name: String, each values: [String]) {
    for (index, value) in values.enumerated() {
      rows.append([index == 0 ? "\(name):" : "", Printable.text(value)])
    }
  }

  func lines() -> [String] { Table.align(rows, gap: 2) }
}

/// Where people read.
enum Terminal {
  /// Characters in a line of it; nil where the standard output is something else.
  static var width: Int? {
    var size = winsize()
    guard isatty(STDOUT_FILENO) == 1, unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0,
      size.ws_col > 0
    else { return nil }
    return Int(size.ws_col)
  }

  /// Lines of it; nil likewise.
  static var height: Int? {
    var size = winsize()
    guard isatty(STDOUT_FILENO) == 1, unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0,
      size.ws_row > 0
    else { return nil }
    return Int(size.ws_row)
  }
}
