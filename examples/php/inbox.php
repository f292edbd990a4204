<?php
declare(strict_types=1);

/**
 * Opens the table of events. One with a body waits to be handled. One without was handled: the id stays so that a repeat
 * is known, and the person in it is gone.
 */
function inbox(): PDO
{
    umask(0077);
    $db = new PDO('sqlite:' . (getenv('INBOX') ?: __DIR__ . '/inbox.db'), null, null, [
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::ATTR_TIMEOUT => 5, // seconds that it waits for another's transaction
    ]);
    $db->exec('PRAGMA journal_mode = WAL');
    $db->exec('PRAGMA synchronous = FULL'); // what is committed survives a power cut
    $db->exec('CREATE TABLE IF NOT EXISTS events (
        id TEXT PRIMARY KEY, body BLOB, stored_at INTEGER NOT NULL, handled_at INTEGER)');
    $db->exec('CREATE INDEX IF NOT EXISTS waiting ON events (stored_at) WHERE body IS NOT NULL');
    $db->exec('CREATE INDEX IF NOT EXISTS handled ON events (handled_at)');
    return $db;
}
