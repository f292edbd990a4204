<?php
// Handles the events that receiver.php stored, for ever: run it under systemd or supervisord. It may be killed at any
// moment, and there may be several.
declare(strict_types=1);

require __DIR__ . '/inbox.php';

const KEEP_IDS = 30 * 86400; // seconds. identwatch may repeat an event for 13 days, by default.

/** Where your own rules go. Only "clear" is a clearance; "hit" and "unknown" are for a human to look at. */
function decide(string $type, array $data): ?string
{
    return match ($type) {
        'identification.completed' =>
            $data['peps']['result'] === 'clear' && $data['sanctions']['result'] === 'clear' ? 'identified' : 'review',
        'identification.refused', 'identification.expired', 'identification.failed' => 'not_identified',
        default => null, // a type of a later version: acknowledged, and left alone
    };
}

/** Does the work of an event and notes that it is done, in one transaction: both happen, or neither. */
function handle(PDO $db, string $id): void
{
    $db->exec('BEGIN IMMEDIATE');
    try {
        $select = $db->prepare('SELECT body FROM events WHERE id = ? AND body IS NOT NULL');
        $select->execute([$id]);
        $body = $select->fetchColumn();
        $select->closeCursor();
        if ($body !== false) { // else another worker was faster
            $event = json_decode($body, true, 512, JSON_THROW_ON_ERROR);
            $decision = decide($event['type'], $event['data']);
            if ($decision !== null) {
                $db->prepare('INSERT INTO results (token, reference, decision, reason) VALUES (?, ?, ?, ?)')->execute(
                    [$event['data']['token'], $event['data']['reference'], $decision, $event['data']['error']['reason'] ?? null]
                );
            }
            $db->prepare('UPDATE events SET body = NULL, handled_at = ? WHERE id = ?')->execute([time(), $id]);
        }
        $db->exec('COMMIT');
    } catch (Throwable $e) {
        $db->exec('ROLLBACK');
        throw $e;
    }
}

$db = inbox();
$db->exec('CREATE TABLE IF NOT EXISTS results (token TEXT PRIMARY KEY, reference TEXT, decision TEXT, reason TEXT)');
while (true) {
    foreach ($db->query('SELECT id FROM events WHERE body IS NOT NULL ORDER BY stored_at')->fetchAll(PDO::FETCH_COLUMN) as $id) {
        try {
            handle($db, $id);
            error_log("handled $id");
        } catch (Throwable $e) {
            error_log("cannot handle $id: " . get_class($e)); // it stays, and is tried again
        }
    }
    $db->prepare('DELETE FROM events WHERE body IS NULL AND handled_at < ?')->execute([time() - KEEP_IDS]);
    usleep(250_000);
}
