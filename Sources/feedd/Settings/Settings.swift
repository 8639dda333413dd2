// Where a setting's value comes from: flag, then environment, then file. Every source gives plain text, so
// one parser and one wording of its complaints serve all three; each complaint says where the text stood.

import Configuration
import FastFeed
import FoundationEssentials

/// A value as it was written, and where.
struct Found {
    let text: String
    /// `--batch-size`, `FEEDD_BATCH_SIZE`, or `"batch-size" in FILE`.
    let origin: String
    /// Visible to everyone in the process list.
    let isFlag: Bool

    func refused(_ why: String) -> Failure { .usage("\(origin) '\(text)': \(why)") }
}

struct Settings {
    private struct Source {
        let provider: any ConfigProvider
        let keyPrefix: [String]
        let isFlags: Bool
        let origin: (Setting) -> String
    }

    private var sources: [Source]
    /// Variables that look like ours and mean nothing.
    let unknownVariables: [String]

    /// - Throws: when the configuration file cannot be read, is not a JSON object, or has an unknown key.
    init(flags: [Setting: String], environment: [String: String]) throws {
        sources = [
            Source(provider: Settings.memory(flags), keyPrefix: [], isFlags: true) { $0.flag },
            Source(
                provider: EnvironmentVariablesProvider(environmentVariables: environment.filter { !$0.value.isEmpty }),
                keyPrefix: ["feedd"], isFlags: false
            ) { $0.variable },
        ]
        let known = Set(Setting.allCases.map(\.variable))
        unknownVariables = environment.keys.filter { $0.hasPrefix("FEEDD_") && !known.contains($0) }.sorted()
        guard let file = try self[.config] else { return }
        let values = try ConfigurationFile.read(file)
        sources.append(
            Source(provider: Settings.memory(values), keyPrefix: [], isFlags: false) { "\"\($0.rawValue)\" in \(file.text)" })
    }

    /// URLs that may have a password in them.
    private static let secret: Set<Setting> = [.redis, .redisReplica, .proxy]

    private static func memory(_ values: [Setting: String]) -> InMemoryProvider {
        var content: [AbsoluteConfigKey: ConfigValue] = [:]
        for (setting, text) in values {
            content[AbsoluteConfigKey([setting.rawValue])] = ConfigValue(.string(text), isSecret: Settings.secret.contains(setting))
        }
        return InMemoryProvider(values: content)
    }

    subscript(setting: Setting) -> Found? {
        get throws {
            for source in sources {
                let key = AbsoluteConfigKey(source.keyPrefix + [setting.rawValue])
                guard case .string(let text) = try source.provider.value(forKey: key, type: .string).value?.content else { continue }
                return Found(text: text, origin: source.origin(setting), isFlag: source.isFlags)
            }
            return nil
        }
    }

    /// What is set, and where it comes from, for people; what may hold a secret is left out.
    var shown: [(String, String)] {
        return Setting.allCases.compactMap { setting in
            guard let found = try? self[setting] else { return nil }
            return (setting.rawValue, (Settings.secret.contains(setting) ? "(set)" : found.text) + " (\(found.origin))")
        }
    }

    func text(_ setting: Setting) throws -> String? { try self[setting]?.text }

    func integer(_ setting: Setting) throws -> Int? {
        guard let found = try self[setting] else { return nil }
        guard let number = Int(found.text) else { throw found.refused("is not a whole number") }
        return number
    }

    func seconds(_ setting: Setting) throws -> Duration? {
        guard let found = try self[setting] else { return nil }
        guard let seconds = Double(found.text), (0...86_400).contains(seconds) else {
            throw found.refused("is not a number of seconds, at most 86400")
        }
        return .milliseconds(Int64((seconds * 1_000).rounded()))
    }

    func truth(_ setting: Setting) throws -> Bool? {
        guard let found = try self[setting] else { return nil }
        switch found.text.lowercased() {
        case "true", "yes", "on", "1": return true
        case "false", "no", "off", "0": return false
        default: throw found.refused("is neither true nor false")
        }
    }

    /// One of an enumeration's words.
    func choice<Choice: RawRepresentable<String> & CaseIterable>(_ setting: Setting, of: Choice.Type = Choice.self) throws -> Choice? {
        guard let found = try self[setting] else { return nil }
        guard let choice = Choice(rawValue: found.text) else {
            throw found.refused("must be one of: " + Choice.allCases.map(\.rawValue).joined(separator: " "))
        }
        return choice
    }

    /// A file that must be there and readable.
    func file(_ setting: Setting) throws -> String? {
        guard let found = try self[setting] else { return nil }
        var isDirectory = false
        guard FileManager.default.fileExists(atPath: found.text, isDirectory: &isDirectory) else {
            throw found.refused("there is no such file")
        }
        guard !isDirectory else { throw found.refused("is a directory, not a file") }
        guard FileManager.default.isReadableFile(atPath: found.text) else { throw found.refused("cannot be read by this user") }
        return found.text
    }
}

/// The JSON configuration file: one flat object, keys named like the flags.
enum ConfigurationFile {
    private enum Value: Decodable {
        case text(String)
        case list([String])
        case other

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let flag = try? container.decode(Bool.self) {
                self = .text(flag ? "true" : "false")
            } else if let number = try? container.decode(Int.self) {
                self = .text(String(number))
            } else if let text = try? container.decode(String.self) {
                self = .text(text)
            } else if let list = try? container.decode([String].self) {
                self = .list(list)
            } else {
                self = .other
            }
        }
    }

    static let bytesMax = 1 << 20

    static func read(_ file: Found) throws -> [Setting: String] {
        guard let bytes = SmallFile.bytes(file.text, most: bytesMax + 1) else { throw file.refused("the file cannot be read") }
        let data = Data(bytes)
        guard data.count <= bytesMax else { throw file.refused("is longer than \(bytesMax) bytes") }
        let object: [String: Value]
        do {
            object = try JSONDecoder().decode([String: Value].self, from: data)
        } catch DecodingError.typeMismatch {
            throw file.refused("the file is not a JSON object")
        } catch {
            throw file.refused("the file is not valid JSON")
        }
        var values: [Setting: String] = [:]
        for (key, value) in object.sorted(by: { $0.key < $1.key }) {
            guard let setting = Setting(rawValue: key), setting != .config else {
                throw Failure.usage("unknown key \"\(key)\" in \(file.text)\(suggestion(for: key))")
            }
            switch value {
            case .text(let text): values[setting] = text
            case .list(let list) where setting == .flux: values[setting] = list.joined(separator: " ")
            case .list(let list) where setting == .venueWS: values[setting] = list.joined(separator: ",")
            case .list, .other: throw Failure.usage("\"\(key)\" in \(file.text) must be a text, a whole number, or true or false")
            }
        }
        return values
    }

    /// The setting whose letters are the same: camelCase and underscores are the usual mistakes.
    private static func suggestion(for key: String) -> String {
        func letters(_ text: String) -> String { text.lowercased().filter { $0 != "-" && $0 != "_" } }
        guard let match = Setting.allCases.first(where: { letters($0.rawValue) == letters(key) && $0 != .config }) else { return "" }
        return ": it is written \"\(match.rawValue)\""
    }
}
