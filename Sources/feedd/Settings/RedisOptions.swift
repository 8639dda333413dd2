// The flags that say how to speak to Redis, shared by the service and the commands that talk to it. (Where Redis is has a
// default of its own in each.)

import ArgumentParser

struct RedisOptions: ParsableArguments {
    @Option(help: ArgumentHelp("File whose first line is the Redis password.", valueName: "file"))
    var redisPasswordFile: String?

    @Option(help: ArgumentHelp("Redis ACL user.", valueName: "name"))
    var redisUser: String?

    @Option(
        help: ArgumentHelp(
            "PEM file to trust for rediss://, rediss+sentinel:// and rediss+cluster:// instead of the system's store. If it holds revocation lists (CRL), whole chains are checked against them.",
            valueName: "file"))
    var redisCaFile: String?

    @Option(help: ArgumentHelp("Client certificate (PEM) for rediss://.", valueName: "file"))
    var redisCertFile: String?

    @Option(help: ArgumentHelp("Its key (PEM).", valueName: "file"))
    var redisKeyFile: String?

    @Option(help: ArgumentHelp("ACL user of the Sentinels of redis+sentinel://.", valueName: "name"))
    var sentinelUser: String?

    @Option(help: ArgumentHelp("File whose first line is the Sentinels' password.", valueName: "file"))
    var sentinelPasswordFile: String?

    @Option(help: ArgumentHelp("Stands in front of all keys and channels. (default: empty)", valueName: "text"))
    var keyPrefix: String?

    var texts: [(Setting, String?)] {
        [
            (.redisPasswordFile, redisPasswordFile), (.redisUser, redisUser), (.redisAuthorityFile, redisCaFile),
            (.redisCertificateFile, redisCertFile), (.redisKeyFile, redisKeyFile), (.sentinelUser, sentinelUser),
            (.sentinelPasswordFile, sentinelPasswordFile),
            (.keyPrefix, keyPrefix),
        ]
    }
}
