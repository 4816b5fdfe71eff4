//! Recognises absence notes, help desks' receipts and bounces by their words alone, in many languages.
//!
//! What it is for: some programs answer a mail without any header that says so. Their words are reason enough to
//! withhold an automatic answer and to show the mail as doubtful to people; they are never reason enough to lose it.
//! A false alarm about a real report annoys, so this page would rather miss a note than suspect a person.
//!
//! # How it reads
//! * A subject tells by its beginning, and nothing is stripped from it: "Re: Undelivered Mail" is a person's.
//! * A text tells by a phrase in its first lines, above what it quotes, and for notes and receipts only when it is short.
//!   Not counted: a phrase in quotation marks, or after "if" or "when", and any phrase in a text that speaks like a
//!   report ("proof of concept"). A bounce's subject is believed whatever the text, for a bounce repeats the lost mail.
//!
//! # Invariants
//! * Pure: looks at no more than 300 characters of the subject and 2000 of the text, once for each phrase.
//! * Letters are compared without case, accents and typography, and a name of a language is only a hint for people.
//!
//! # The tables
//! One line a language, phrases between bars. In a subject the phrase is the beginning, and the end or a separator
//! follows ("Auto-reply: …", not "Auto-reply handler …"); `phrase*`: anything may follow; `phrase$`: it is the whole;
//! `… phrase`: a name goes before. Anywhere `a … b`: a few words lie between; `phrase?`: too faint, subject and text have
//! to say it together. Receipts stand in texts and begin subjects; `phrase:`, `*` and `$` are for subjects alone.

use std::sync::LazyLock;

/// What the words announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Somebody is away, has left, or does not read this mailbox.
    Absence,
    /// A help desk: "we have received your request".
    Receipt,
    /// A server: a mail did not arrive, or not yet.
    Bounce,
}

/// The words that were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What they announce.
    pub sort: Sort,
    /// "German"; where two languages write alike, "Czech, Slovak".
    pub language: &'static str,
    /// The phrase as the tables have it.
    pub words: &'static str,
    /// It began the subject; otherwise it stood in the text.
    pub in_subject: bool,
}

const MAX_SUBJECT: usize = 300;
const MAX_TEXT: usize = 2000;
/// Longer texts are no absence notes and no receipts.
const SHORT: usize = 1600;
/// Where an absence note or a receipt has said what it is.
const NOTE_OPENING: usize = 500;
/// The same for a bounce; its servers are wordy.
const BOUNCE_OPENING: usize = 800;
/// Tells too little alone: subject and text have to say it.
const FAINT: Option<char> = Some('?');
/// What `…` stands for, at most.
const GAP: usize = 150;

const ABSENCE_SUBJECTS_TABLE: &str = "
English: automatic reply | automatic response | auto reply | auto-reply | autoreply | auto response | auto-response | autoresponse | [auto-reply]* | [auto reply]* | [autoreply]* | [automatic reply]* | autoresponder$ | out of office | out-of-office | out of the office | out of office reply | out of office response | out of office message | out of office notification | out of office autoreply | out of office auto reply | out of office auto-reply | out of office automatic reply | away from my mail* | away from the office | on vacation | vacation$ | vacation reply$ | vacation message$ | vacation notice$ | on leave | annual leave$ | parental leave$ | maternity leave$ | on holiday$ | i am out of the office* | i'm out of the office* | i am out of office* | i'm out of office* | i am on vacation* | i have left the company* | no longer with the company | mailbox no longer monitored | mailbox not monitored | … is out of the office | … is out of office | … is away from the office | … is on vacation | … is on annual leave | … is on parental leave | … has left the company
German: automatische antwort | automatische rückantwort | automatische abwesenheitsnotiz | abwesenheitsnotiz | abwesenheitsmeldung | abwesenheitsnachricht | abwesenheitsbenachrichtigung | abwesenheitsassistent | abwesenheit$ | abwesend | nicht im büro | nicht im haus | außer haus | im urlaub | urlaub$ | in elternzeit | elternzeit$ | ich bin außer haus* | ich bin nicht im büro* | ich bin im urlaub* | nicht mehr im unternehmen | … ist außer haus | … ist nicht im büro | … ist nicht im haus | … ist im urlaub | … ist in elternzeit
French: réponse automatique | réponse d'absence | message d'absence | avis d'absence | notification d'absence | absence du bureau | absent du bureau | absente du bureau | absence$ | hors du bureau | en congé | en congés | en vacances | je suis absent* | je suis en congé* | je suis en congés* | … est absent du bureau | … est absente du bureau | … est absent jusqu'au | … est absente jusqu'au | … est en congé | … est en congés
Spanish: respuesta automática | autorespuesta | fuera de la oficina | fuera de oficina | ausente de la oficina | mensaje de ausencia | aviso de ausencia | de vacaciones | estoy fuera de la oficina* | estoy de vacaciones* | … está fuera de la oficina | … está de vacaciones
Italian: risposta automatica | fuori ufficio | fuori sede | assenza dall'ufficio | messaggio di assenza | avviso di assenza | in ferie | sono in ferie* | sono fuori ufficio* | … è fuori ufficio | … è in ferie
Portuguese: resposta automática | resposta automática de ausência | fora do escritório | ausente do escritório | ausência temporária | mensagem de ausência | de férias | em férias | estou de férias* | … está ausente do escritório | … está fora do escritório | … está de férias
Dutch: automatisch antwoord | automatische beantwoording | afwezigheidsbericht | afwezigheidsmelding | afwezigheidsassistent | afwezig | niet aanwezig | niet op kantoor | buiten kantoor | met vakantie | op vakantie | ik ben afwezig* | ik ben op vakantie* | … is niet op kantoor | … is op vakantie | … is met vakantie
Swedish: autosvar | automatiskt svar | frånvaromeddelande | frånvaroassistent | frånvarande | inte på kontoret | ej på kontoret | på semester | semester$ | föräldraledig | … är inte på kontoret | … är på semester
Danish, Norwegian: automatisk svar | ikke på kontoret | ikke til stede | på ferie | ferie$ | fraværsbesked | fraværsmeddelelse | fravær$ | på barsel | på barselsorlov | fraværsmelding | fraværsassistent | borte fra kontoret | i permisjon | i foreldrepermisjon | … er ikke på kontoret | … er på ferie
Finnish: automaattinen vastaus | automaattinen poissaoloviesti | poissaoloviesti | poissaoloilmoitus | poissa | poissa toimistolta | lomalla | olen lomalla* | olen poissa* | … on poissa toimistosta | … on lomalla
Polish: odpowiedź automatyczna | automatyczna odpowiedź | autoodpowiedź | poza biurem | nieobecność | nieobecny | nieobecna | informacja o nieobecności | urlop$ | na urlopie | jestem na urlopie* | jestem poza biurem* | … jest poza biurem | … jest na urlopie
Czech, Slovak: automatická odpověď
Czech: mimo kancelář | nepřítomnost | nepřítomen | nepřítomna | oznámení o nepřítomnosti | dovolená$ | na dovolené | jsem na dovolené* | jsem mimo kancelář* | … je mimo kancelář | … je na dovolené
Slovak: mimo kancelárie | neprítomný | oznámenie o neprítomnosti | dovolenka$ | na dovolenke | som na dovolenke* | som mimo kancelárie*
Hungarian: automatikus válasz | automatikus válaszüzenet | automatikus üzenet | házon kívül | irodán kívül | távolléti üzenet | távolléti értesítés | távollét | szabadságon | szabadság$ | nem vagyok az irodában* | … nincs az irodában | … szabadságon van
Romanian: răspuns automat | în afara biroului | absent din birou | absență din birou | în concediu | concediu$ | nu sunt la birou* | sunt în concediu*
Russian: автоматический ответ | автоответ | автоответчик$ | вне офиса | нет в офисе | отсутствую | отсутствие на рабочем месте | уведомление об отсутствии | в отпуске | я в отпуске* | отпуск$ | … отсутствует в офисе | … находится в отпуске
Ukrainian: автоматична відповідь | автовідповідь | поза офісом | відсутній на робочому місці | у відпустці | я у відпустці* | відпустка$
Bulgarian: автоматичен отговор | извън офиса | отсъствие от офиса | отсъствам | в отпуск | в отпуск съм*
Greek: αυτόματη απάντηση | εκτός γραφείου | μήνυμα απουσίας | απουσία$ | σε άδεια | είμαι εκτός γραφείου* | είμαι σε άδεια*
Turkish: otomatik yanıt | otomatik cevap | ofis dışında | ofis dışı | ofis dışındayım | izindeyim | yıllık izin$ | … ofis dışında
Hebrew: תשובה אוטומטית | מענה אוטומטי | מחוץ למשרד | לא במשרד | בחופשה | אני בחופשה* | אני מחוץ למשרד*
Arabic: رد تلقائي | الرد التلقائي | رد آلي | الرد الآلي | خارج المكتب | في إجازة | أنا في إجازة*
Japanese: 自動応答 | 自動返信 | 自動返答 | 自動応答メール | 自動返信メール | [自動返信]* | [自動応答]* | 不在通知 | 不在のお知らせ | 休暇中 | 外出中 | … は不在です | … は休暇中です
Chinese: 自动答复 | 自动回复 | [自动回复]* | 不在办公室 | 我不在办公室* | 外出通知 | 休假中 | 休假$ | … 不在办公室 | 自動回覆 | 自動答覆 | 自動回復 | [自動回覆]* | 不在辦公室 | 我不在辦公室* | … 不在辦公室
Korean: 자동 회신 | 자동회신 | 자동 응답 | 자동응답 | 자동 답장 | [자동회신]* | [자동응답]* | 부재중 | 부재 중 | 휴가 중 | 휴가중 | … 부재 중입니다
Indonesian: balasan otomatis | jawaban otomatis | pesan otomatis | di luar kantor | sedang cuti | cuti$ | saya sedang cuti*
Vietnamese: trả lời tự động | thư trả lời tự động | tự động trả lời | phản hồi tự động | ngoài văn phòng | vắng mặt tại văn phòng | nghỉ phép$";

const BOUNCE_SUBJECTS_TABLE: &str = "
English: undeliverable | undeliverable mail | undeliverable message | undelivered mail | undelivered message | undelivered mail returned to sender* | delivery status notification (* | delivery status notification$ | mail delivery failed | mail delivery failed: returning message to sender* | mail delivery failure | mail delivery warning$ | mail delivery error$ | email delivery error$ | e-mail delivery error$ | mail delivery subsystem | mail delivery system$ | notice: mail delivery status* | failure notice | returned mail | returned mail: see transcript for details* | returned email$ | mail system error - returned mail* | message not delivered | mail not delivered | mail could not be delivered | message could not be delivered | your message could not be delivered* | sorry, your message could not be delivered* | your message to … could not be delivered | delayed mail (still being retried)* | warning: message … delayed | warning: message has not yet been delivered* | warning: could not send message for* | delivery failure$ | delivery failed$ | delivery failure notification$ | delivery has failed* | delivery report (* | delivery report$ | delivery status$ | delivery incomplete$ | delivery delayed | permanent delivery failure | message delivery failure | message delivery delayed | non-delivery report$ | non-delivery notification$ | nondeliverable mail | automatically rejected mail | postmaster notify: see transcript for details* | there was an error sending your mail* | message blocked$ | delivery status notification? | delivery failure? | delivery notification? | delivery report? | mail delivery? | mail system error? | non-delivery? | delayed mail? | message delayed? | there was an error sending your mail? | undelivered?
German: unzustellbar | unzustellbare nachricht | unzustellbare e-mail | unzustellbare mail | nicht zustellbar | nicht zugestellt | nicht zugestellte nachricht | unzustellbarkeitsbericht | benachrichtigung über unzustellbarkeit | zustellung fehlgeschlagen | fehler bei der zustellung | fehlgeschlagene zustellung | zustellungsfehler$ | ihre nachricht konnte nicht zugestellt werden* | e-mail konnte nicht zugestellt werden | nachricht konnte nicht zugestellt werden | zustellung verzögert | benachrichtigung zum übermittlungsstatus (* | übermittlungsstatus$
French: non remis | non distribuable | non délivré | message non remis | message non distribué | message non délivré | courrier non délivré | échec de la remise | échec de remise | échec de la livraison du message | échec de distribution | avis de non-remise | notification d'état de remise | notification d'échec de remise | remise différée | remise retardée | votre message n'a pas pu être*
Spanish: no se puede entregar | no se pudo entregar | no entregable | no se ha podido entregar | correo no entregado | mensaje no entregado | correo devuelto | error de entrega | notificación de estado de entrega | notificación del estado de la entrega | notificación de no entrega | entrega retrasada
Italian: non recapitabile | impossibile recapitare | messaggio non recapitato | messaggio non consegnato | mancato recapito | mancata consegna | notifica di mancato recapito | avviso di mancata consegna | notifica sullo stato del recapito | recapito ritardato
Portuguese: não é possível entregar | não foi possível entregar | mensagem não entregue | não entregue | impossível entregar | falha na entrega | falha de entrega | notificação de status de entrega | notificação do estado de entrega | devolução de e-mail | correio devolvido
Dutch: onbestelbaar | niet te bezorgen | kan niet worden bezorgd | niet bezorgd | bericht niet bezorgd | onbestelbaar bericht | bezorging mislukt | aflevering mislukt | melding over bezorgingsstatus | uw bericht kon niet worden* | bezorging vertraagd
Swedish: kan inte levereras | går inte att leverera | ej levererat | olevererbart | olevererbar | meddelandet kunde inte levereras* | leveransen misslyckades | leverans misslyckades | leveransfel$ | meddelande om leveransstatus
Danish, Norwegian: kan ikke leveres | ikke leveret | ikke levert | levering mislykkedes | levering mislyktes | leveringsfejl$ | leveringsfeil$ | meddelelsen kunne ikke leveres* | meldingen kunne ikke leveres* | kunne ikke leveres
Finnish: ei voi toimittaa | toimittaminen epäonnistui | toimitus epäonnistui | viestiä ei voitu toimittaa* | viestin toimitus epäonnistui* | ei toimitettavissa | toimittamaton viesti
Polish: niedostarczalne | niedostarczalna wiadomość | nie można dostarczyć | nie dostarczono | niedostarczona wiadomość | niedostarczona poczta | błąd dostarczenia | błąd doręczenia | zwrot poczty | wiadomość nie została dostarczona* | powiadomienie o stanie dostarczenia
Czech, Slovak: nedoručitelné
Czech: nedoručitelná zpráva | nedoručená zpráva | nedoručeno | zprávu nelze doručit* | zprávu se nepodařilo doručit* | doručení se nezdařilo | selhání doručení | oznámení o stavu doručení
Slovak: nedoručiteľná správa | nedoručená správa | správu sa nepodarilo doručiť* | správu nemožno doručiť* | doručenie zlyhalo | doručenie sa nepodarilo
Hungarian: kézbesíthetetlen | kézbesíthetetlen üzenet | kézbesíthetetlen levél | nem kézbesíthető | sikertelen kézbesítés | az üzenet nem kézbesíthető* | az üzenet kézbesítése sikertelen* | kézbesítési hiba$
Romanian: nelivrabil | nelivrat | mesaj nelivrat | nu poate fi livrat | mesajul nu a putut fi livrat* | livrare eșuată | livrarea a eșuat | notificare privind starea livrării
Russian: не удается доставить | не удалось доставить | недоставленное сообщение | недоставленное письмо | недоставлено | не доставлено | сообщение не доставлено | письмо не доставлено | ваше сообщение не доставлено* | ошибка доставки$ | ошибка доставки почты | ошибка доставки сообщения | уведомление о недоставке | отчет о недоставке | уведомление о состоянии доставки | возврат почты
Ukrainian: не вдалося доставити | неможливо доставити | недоставлене повідомлення | недоставлений лист | повідомлення не доставлено | лист не доставлено | помилка доставки$ | звіт про недоставку
Bulgarian: недоставимо | не може да се достави | не може да бъде доставено | недоставено съобщение | съобщението не може да бъде доставено* | неуспешна доставка | неуспешно доставяне
Greek: δεν είναι δυνατή η παράδοση | αδύνατη η παράδοση | μη παραδοτέο | μη παραδόσιμο | αποτυχία παράδοσης | το μήνυμά σας δεν παραδόθηκε* | το μήνυμα δεν παραδόθηκε*
Turkish: teslim edilemedi | teslim edilemez | teslim edilemiyor | teslim edilemeyen ileti | iletilemedi | iletiniz teslim edilemedi* | teslimat başarısız | teslim hatası$ | teslim durumu bildirimi
Hebrew: לא ניתן למסירה | לא ניתן למסור | ההודעה לא נמסרה* | הודעה שלא נמסרה | כשל במסירה | מסירת ההודעה נכשלה*
Arabic: غير قابل للتسليم | تعذر التسليم | تعذر تسليم الرسالة* | لم يتم تسليم الرسالة* | فشل التسليم | فشل تسليم الرسالة* | رسالة غير مسلمة
Japanese: 配信不能 | 配信できません | 配信できませんでした | 配信不可 | 配達不能 | 配信エラー$ | 送信エラー$ | 送信できませんでした | 配信状態通知 | 配信状況通知 | 未配信
Chinese: 无法送达 | 未送达 | 无法投递 | 未递送 | 无法传递 | 邮件无法送达 | 邮件发送失败 | 传递失败 | 投递失败 | 退信 | 系统退信 | 来自postmaster的退信 | 無法傳遞 | 未傳遞 | 無法投遞 | 無法送達 | 未送達 | 郵件無法傳遞 | 郵件傳送失敗 | 傳遞失敗 | 系統退信 | 退信通知
Korean: 배달되지 않음 | 배달할 수 없음 | 배달 불가 | 전송 실패 | 메일 전송 실패 | 메일 발송 실패 | 반송 메일 | 반송된 메일 | 배달 상태 알림
Indonesian: tidak terkirim | tidak dapat dikirim | tidak dapat terkirim | pesan tidak terkirim | email tidak terkirim | gagal terkirim | pengiriman gagal | gagal mengirim pesan
Vietnamese: không thể gửi | không thể chuyển phát | thư không gửi được | thư bị trả lại | thư không được gửi | gửi thư thất bại | không gửi được thư";

const ABSENCE_TEXTS_TABLE: &str = "
English: i am out of the office | i'm out of the office | i am out of office | i'm out of office | i am currently out of the office | i'm currently out of the office | i am currently out of office | i'm currently out of office | i will be out of the office | i'll be out of the office | i will be out of office | i am away from the office | i am currently away from the office | i am away from my mail | i will not be reading my mail | i am on vacation until | i'm on vacation until | i am currently on vacation | i'm currently on vacation | i am on holiday until | i am on annual leave | i am currently on annual leave | i'm on annual leave | i am on leave until | i am currently on leave | i am on parental leave | i'm on parental leave | i am on maternity leave | i'm on maternity leave | i am on paternity leave | i have left the company | i've left the company | i no longer work at | i no longer work for | i am no longer with | i am no longer working for | is no longer with the company | no longer works for | has left the company | this mailbox is no longer monitored | this mailbox is not monitored | this inbox is not monitored | this inbox is no longer monitored | mailbox is no longer being monitored | this email address is no longer in use | this e-mail address is no longer in use | this email address is no longer monitored | this email account is no longer active | this e-mail account is no longer active
German: ich bin außer haus | ich bin derzeit außer haus | ich bin zur zeit außer haus | ich bin zurzeit außer haus | ich bin nicht im büro | ich bin derzeit nicht im büro | ich bin zurzeit nicht im büro | ich bin nicht im hause | ich bin im urlaub | ich bin derzeit im urlaub | ich befinde mich im urlaub | ich befinde mich derzeit im urlaub | ich befinde mich in elternzeit | ich bin in elternzeit | ich bin im mutterschutz | ich bin bis … nicht erreichbar | ich bin ab … wieder erreichbar | ich bin ab … wieder im büro | ich bin ab … wieder für sie da | bin ich nicht im büro | bin ich wieder erreichbar | ich bin abwesend | ich bin nicht mehr für … tätig | ich bin nicht mehr bei … beschäftigt | ich habe das unternehmen verlassen | hat das unternehmen verlassen | nicht mehr im unternehmen tätig | dieses postfach wird nicht mehr | dieses postfach wird nicht gelesen | diese e-mail-adresse wird nicht mehr | ihre nachricht wird nicht weitergeleitet | ihre e-mail wird nicht weitergeleitet
French: je suis absent | je suis absente | je suis actuellement absent | je suis actuellement absente | je suis en congé | je suis en congés | je suis actuellement en congé | je suis actuellement en congés | je suis en vacances | je suis en congé parental | je suis en congé maternité | je serai absent | je serai absente | je serai de retour le | j'ai quitté l'entreprise | j'ai quitté la société | ne fait plus partie de | cette boîte mail n'est plus | cette adresse n'est plus
Spanish: estoy fuera de la oficina | me encuentro fuera de la oficina | estaré fuera de la oficina | actualmente estoy fuera | actualmente me encuentro fuera | estoy de vacaciones | me encuentro de vacaciones | estoy de baja | ya no trabajo en | ya no trabaja en | he dejado la empresa | este buzón ya no | esta dirección de correo ya no
Italian: sono fuori ufficio | sono attualmente fuori ufficio | sarò fuori ufficio | sono assente | sono attualmente assente | sarò assente | sono in ferie | sarò in ferie | sono in congedo | non lavoro più | non lavora più | ho lasciato l'azienda | questa casella non è più | questo indirizzo non è più
Portuguese: estou fora do escritório | estarei fora do escritório | estou ausente do escritório | estou ausente até | estarei ausente | encontro-me ausente | estou de férias | encontro-me de férias | estou em férias | estou de licença | já não trabalho | não trabalho mais | não trabalha mais | deixei a empresa | esta caixa de correio já não | este e-mail não é mais monitorado
Dutch: ik ben niet op kantoor | ik ben momenteel niet op kantoor | ik ben afwezig | ik ben momenteel afwezig | ik ben op vakantie | ik ben met vakantie | ik ben met verlof | ik ben niet aanwezig | ik werk niet meer | werkt niet meer bij | is niet meer werkzaam | deze mailbox wordt niet | dit e-mailadres wordt niet meer
Swedish: jag är inte på kontoret | jag är på semester | jag har semester | jag är ledig till | jag är ledig | jag är föräldraledig | jag är frånvarande | jag är åter | jag är tillbaka den | jag har slutat | arbetar inte längre | denna brevlåda | den här e-postadressen används inte
Danish, Norwegian: jeg er ikke på kontoret | jeg holder ferie | jeg er på ferie | jeg er på barsel | jeg er på orlov | jeg er fraværende | jeg er tilbage | jeg er ikke længere ansat | er ikke længere ansat | jeg er fratrådt | denne postkasse | denne mailadresse er ikke længere | jeg har ferie | jeg er i permisjon | jeg er i foreldrepermisjon | jeg er borte fra kontoret | jeg er tilbake | jeg har sluttet | jobber ikke lenger | denne postkassen | denne e-postadressen er ikke lenger
Finnish: olen lomalla | olen kesälomalla | olen poissa | olen vuosilomalla | olen vanhempainvapaalla | olen äitiyslomalla | en ole toimistolla | en ole enää töissä | ei työskentele enää | tätä postilaatikkoa ei | tämä sähköpostiosoite ei ole enää
Polish: jestem na urlopie | przebywam na urlopie | jestem poza biurem | przebywam poza biurem | jestem nieobecny | jestem nieobecna | obecnie jestem nieobecny | będę nieobecny | będę nieobecna | nie pracuję już | już nie pracuję | ta skrzynka nie jest | ta skrzynka pocztowa nie jest
Czech: jsem mimo kancelář | nejsem v kanceláři | jsem na dovolené | mám dovolenou | čerpám dovolenou | jsem na mateřské | jsem na rodičovské | již nepracuji | již nepracuje | tato schránka není | tato e-mailová schránka
Slovak: som mimo kancelárie | nie som v kancelárii | som na dovolenke | mám dovolenku | čerpám dovolenku | som na materskej | už nepracujem | už nepracuje | táto schránka nie je
Hungarian: nem vagyok az irodában | nem tartózkodom az irodában | házon kívül vagyok | irodán kívül vagyok | szabadságon vagyok | szabadságomat töltöm | jelenleg szabadságon | szülési szabadságon | már nem dolgozom | már nem dolgozik | ezt a postafiókot
Romanian: nu sunt la birou | nu mă aflu la birou | sunt în concediu | mă aflu în concediu | sunt plecat din birou | voi fi în concediu | nu mai lucrez | nu mai lucrează | această adresă de e-mail nu mai | această căsuță
Russian: я в отпуске | я нахожусь в отпуске | нахожусь в отпуске | я сейчас в отпуске | буду в отпуске | меня нет в офисе | я отсутствую | буду отсутствовать | я больше не работаю | больше не работает в | я в декретном отпуске | этот почтовый ящик больше не | данный почтовый ящик
Ukrainian: я у відпустці | я перебуваю у відпустці | перебуваю у відпустці | я зараз у відпустці | мене немає в офісі | я поза офісом | буду відсутній | буду відсутня | я більше не працюю | більше не працює в | ця поштова скринька
Bulgarian: в отпуск съм | аз съм в отпуск | намирам се в отпуск | извън офиса съм | в момента съм извън офиса | в момента съм в отпуск | ще отсъствам | вече не работя | вече не работи | тази пощенска кутия
Greek: είμαι εκτός γραφείου | βρίσκομαι εκτός γραφείου | θα απουσιάζω | απουσιάζω από το γραφείο | είμαι σε άδεια | βρίσκομαι σε άδεια | δεν εργάζομαι πλέον | δεν εργάζεται πλέον | αυτό το γραμματοκιβώτιο
Turkish: ofis dışındayım | şu anda ofis dışındayım | ofiste değilim | yıllık izindeyim | izindeyim | izinde olacağım | doğum iznindeyim | artık çalışmıyorum | artık çalışmamaktadır | bu posta kutusu artık | bu e-posta adresi artık
Hebrew: אני מחוץ למשרד | אני לא במשרד | אינני במשרד | אני בחופשה | אני נמצא בחופשה | אני נמצאת בחופשה | אני בחופשת לידה | איני עובד עוד | כבר לא עובד | תיבת דואר זו אינה
Arabic: أنا خارج المكتب | أنا حاليا خارج المكتب | أنا في إجازة | أنا حاليا في إجازة | سأكون خارج المكتب | لم أعد أعمل | لم يعد يعمل | صندوق البريد هذا
Japanese: 不在にしております | 不在にしています | 不在となります | 休暇をいただいております | 休暇を頂いております | 休暇中のため | 休暇中です | 育児休業中 | 産休中 | 退職いたしました | 退職しました | 自動返信にて | 自動応答メッセージ | このメールアドレスは現在使用 | 終日外出
Chinese: 我不在办公室 | 我目前不在办公室 | 我正在休假 | 我目前正在休假 | 我在休假 | 正在休产假 | 我已离职 | 我已离开公司 | 已从本公司离职 | 此邮箱不再 | 该邮箱不再 | 您的邮件我已收到，我会尽快 | 我不在辦公室 | 我目前不在辦公室 | 我目前休假 | 正在休產假 | 我已離職 | 我已離開公司 | 此信箱不再 | 此信箱已停用
Korean: 부재중입니다 | 부재 중입니다 | 휴가 중입니다 | 휴가중입니다 | 휴가 중이므로 | 휴가로 인해 | 자리를 비우고 | 사무실을 비우고 | 육아휴직 중 | 퇴사하였습니다 | 퇴사했습니다 | 이 메일함은 더 이상
Indonesian: saya sedang cuti | saya sedang tidak di kantor | saya sedang berada di luar kantor | saya sedang di luar kantor | saya tidak berada di kantor | saya sedang cuti melahirkan | saya tidak lagi bekerja | sudah tidak bekerja | kotak surat ini tidak lagi
Vietnamese: tôi đang nghỉ phép | hiện tôi đang nghỉ phép | tôi đang vắng mặt | tôi hiện không có mặt tại văn phòng | tôi không có mặt tại văn phòng | tôi sẽ vắng mặt | tôi đang nghỉ thai sản | tôi không còn làm việc | không còn làm việc tại | hộp thư này không còn";

const RECEIPTS_TABLE: &str = "
English: we have received your request | we have received your message | we have received your email | we have received your e-mail | we have received your inquiry | we have received your enquiry | we've received your request | we've received your message | we've received your email | we received your request and | your request has been received | your message has been received | your email has been received | your e-mail has been received | your request (… has been received | your ticket has been received | your ticket has been created | your ticket number is | your case number is | a ticket has been created | a support ticket has been created | a new ticket has been created | a support ticket has now been opened | has been assigned ticket | has been assigned a ticket | has been assigned an id of | this is an automatic reply to confirm | this is an automatic confirmation | this is an automated confirmation | this is an automated response to | this is an automatic response to | please type your reply above this line | please reply above this line | we received your message* | request received: | ticket received: | ticket created: | new ticket created$ | message received$ | thank you for contacting* | thanks for contacting* | your email requires verification* | acknowledgement of receipt: | acknowledgment of receipt: | confirmation of receipt: | confirmation of your request:
German: wir haben ihre anfrage erhalten | wir haben ihre nachricht erhalten | wir haben ihre e-mail erhalten | wir haben ihre mail erhalten | ihre anfrage ist bei uns eingegangen | ihre nachricht ist bei uns eingegangen | ihre e-mail ist bei uns eingegangen | ihre anfrage wurde … registriert | ihre anfrage wurde unter | ihre ticketnummer | ihre vorgangsnummer | ein ticket wurde erstellt | dies ist eine automatische eingangsbestätigung | dies ist eine automatisch generierte eingangs | bearbeiten ihre anfrage schnellstmöglich | eingangsbestätigung: | empfangsbestätigung: | ihre anfrage ist eingegangen* | ihre anfrage bei: | ticket erstellt$ | vielen dank für ihre anfrage* | vielen dank für ihre nachricht*
French: nous avons bien reçu votre | nous accusons réception de votre | votre demande a bien été reçue | votre demande a bien été prise en compte | votre demande a été enregistrée | votre message a bien été reçu | votre numéro de ticket | un ticket a été créé | ceci est une réponse automatique | accusé de réception: | accusé réception: | confirmation de réception:
Spanish: hemos recibido su | hemos recibido tu | su solicitud ha sido recibida | tu solicitud ha sido recibida | su número de ticket | se ha creado un ticket | gracias por contactar con nosotros | gracias por ponerse en contacto con | este es un mensaje automático de confirmación | acuse de recibo: | confirmación de recepción:
Italian: abbiamo ricevuto la sua | abbiamo ricevuto la tua | abbiamo ricevuto il suo messaggio | abbiamo ricevuto il tuo messaggio | la sua richiesta è stata ricevuta | la tua richiesta è stata ricevuta | è stato creato un ticket | il numero del suo ticket | conferma di ricezione: | grazie per averci contattato*
Portuguese: recebemos a sua | recebemos sua | recebemos o seu | recebemos seu e-mail | a sua solicitação foi recebida | sua solicitação foi recebida | o seu pedido foi recebido | o número do seu ticket | foi criado um ticket | confirmação de recebimento: | aviso de recebimento:
Dutch: wij hebben uw bericht ontvangen | we hebben uw bericht ontvangen | wij hebben uw e-mail ontvangen | we hebben uw e-mail ontvangen | wij hebben uw aanvraag ontvangen | we hebben je bericht ontvangen | uw ticketnummer | uw aanvraag is ontvangen | er is een ticket aangemaakt | ontvangstbevestiging:
Swedish: vi har tagit emot ditt | vi har mottagit ditt | ditt ärende har registrerats | ditt ärendenummer | mottagningsbekräftelse: | tack för ditt meddelande*
Danish, Norwegian: vi har modtaget din | din henvendelse er modtaget | din sag er oprettet | dit sagsnummer | vi har mottatt din | vi har mottatt henvendelsen | din henvendelse er mottatt | ditt saksnummer | kvittering for modtagelse: | bekreftelse på mottak:
Finnish: olemme vastaanottaneet viestisi | olemme vastaanottaneet yhteydenottosi | viestisi on vastaanotettu | tukipyyntösi on vastaanotettu | vastaanottokuittaus:
Polish: otrzymaliśmy twoje zgłoszenie | otrzymaliśmy twoją wiadomość | otrzymaliśmy państwa | twoje zgłoszenie zostało | państwa zgłoszenie zostało | numer zgłoszenia to | potwierdzenie otrzymania: | potwierdzenie przyjęcia zgłoszenia:
Czech: obdrželi jsme vaši zprávu | obdrželi jsme váš požadavek | přijali jsme váš požadavek | váš požadavek byl přijat | váš požadavek byl zaregistrován | potvrzení o přijetí: | potvrzení přijetí:
Slovak: prijali sme vašu požiadavku | dostali sme vašu správu | vaša požiadavka bola | vašu správu sme prijali | potvrdenie o prijatí:
Hungarian: megkaptuk az üzenetét | megkaptuk a megkeresését | megkaptuk levelét | megkeresését megkaptuk | kérését rögzítettük | visszaigazolás: | megkaptuk a kérés*
Romanian: am primit solicitarea | am primit mesajul dumneavoastră | am primit mesajul dvs | solicitarea dumneavoastră a fost | solicitarea dvs. a fost | confirmare de primire:
Russian: мы получили ваше письмо | мы получили ваше сообщение | мы получили ваш запрос | ваше обращение зарегистрировано | ваше обращение принято | ваша заявка принята | ваша заявка зарегистрирована | вашему обращению присвоен | вашей заявке присвоен | подтверждение получения:
Ukrainian: ми отримали ваш запит | ми отримали ваше повідомлення | ми отримали вашого листа | ваше звернення зареєстровано | ваше звернення прийнято | вашу заявку прийнято | ваше звернення отримано* | підтвердження отримання:
Bulgarian: получихме вашето | вашето запитване е получено | вашето запитване е прието | вашата заявка е | потвърждение за получаване:
Greek: λάβαμε το αίτημά σας | λάβαμε το μήνυμά σας | το αίτημά σας έχει καταχωρηθεί | το αίτημά σας ελήφθη | επιβεβαίωση λήψης:
Turkish: talebiniz alınmıştır | talebiniz tarafımıza ulaşmıştır | mesajınız alınmıştır | e-postanız alınmıştır | mesajınızı aldık | talebinizi aldık | talebiniz alındı* | mesajınız alındı*
Hebrew: קיבלנו את פנייתך | פנייתך התקבלה | הודעתך התקבלה | מספר הפנייה שלך | אישור קבלה:
Arabic: لقد استلمنا طلبك | لقد استلمنا رسالتك | تم استلام طلبك | تم استلام رسالتك | رقم تذكرتك
Japanese: お問い合わせを受け付けました | お問い合わせを受け付けいたしました | お問い合わせいただきありがとうございます | お問い合わせありがとうございます | 自動返信メールです | 自動送信メールです | 自動的に返信 | 受付番号 | お問い合わせ受付: | 受付完了:
Chinese: 我们已收到您的 | 我们已经收到您的 | 您的请求已收到 | 您的工单号 | 您的邮件已收到 | 我們已收到您的 | 我們已經收到您的 | 您的請求已收到 | 您的案件編號 | 您的郵件已收到
Korean: 문의가 접수되었습니다 | 문의가 정상적으로 접수 | 메일을 잘 받았습니다. 본 메일은 자동 | 접수번호는 | 문의해 주셔서 감사합니다 | 문의하신 내용이 접수* | 접수 완료:
Indonesian: kami telah menerima permintaan anda | kami telah menerima pesan anda | kami telah menerima email anda | permintaan anda telah kami terima | nomor tiket anda
Vietnamese: chúng tôi đã nhận được yêu cầu | chúng tôi đã nhận được email | chúng tôi đã nhận được thư | yêu cầu của bạn đã được tiếp nhận | mã yêu cầu của bạn";

const BOUNCE_TEXTS_TABLE: &str = "
English: your message could not be delivered | your mail could not be delivered | your email could not be delivered | your e-mail could not be delivered | your message couldn't be delivered | your message wasn't delivered | your message was not delivered | your mail was not delivered | your message has not been delivered | your message has been delayed | your message could not be sent | your message cannot be delivered | your message did not reach | your message to … couldn't be delivered | your message to … could not be delivered | your message to … has not yet been delivered | your message to … was automatically rejected | your message … did not reach the following recipient | your message with subject … could not be delivered | your mail message to … could not be delivered | your mail sent on … could not be delivered | message that you sent could not be delivered | message that you have sent could not be delivered | message that you sent has not yet been delivered | the following mail could not be delivered | the following message … was undeliverable | the email below could not be delivered | this message could not be delivered | unable to deliver your message | unable to deliver message to the following | wasn't able to deliver your message | wasn't able to deliver the following message | we had trouble delivering your message | there was an error delivering your mail | delivery of email to this address … has been postponed | delivery to the following recipient failed | delivery to the following recipients failed | delivery to the following recipients was aborted | delivery has failed to these recipients | the following recipients did not receive this message | the following addresses had permanent | the following addresses had delivery problems | the following addresses had transient | this message was created automatically by mail delivery software | this is the qmail-send program | trying to deliver the mail to the following recipients | ** message not delivered | address not found ** your message | rejected your message to the following | could not be delivered? | couldn't be delivered? | not been delivered? | was not delivered? | undeliverable? | unable to deliver? | wasn't able to deliver? | delivery has failed? | delivery failed? | user unknown? | unknown user? | no such user? | mailbox is full? | mailbox full? | mailbox unavailable? | permanent error? | address rejected? | delivery problems? | permanent fatal errors? | final-recipient? | diagnostic-code?
German: ihre nachricht konnte nicht zugestellt werden | ihre e-mail konnte nicht zugestellt werden | ihre mail konnte nicht zugestellt werden | ihre nachricht wurde nicht zugestellt | ihre nachricht an … konnte nicht | ihre nachricht hat … nicht erreicht | diese nachricht konnte nicht zugestellt werden | konnte an folgende empfänger nicht | konnte nicht an die folgenden empfänger | konnte an einen oder mehrere empfänger nicht | fehler bei der nachrichtenzustellung | die zustellung an folgende empfänger | zustellung an die folgenden empfänger | von ihnen gesendete nachricht konnte nicht | folgende adresse ist unbekannt
French: votre message n'a pas pu être | votre message n'a pas été remis | votre message n'a pas été délivré | votre message à … n'a pas pu être | n'a pas pu être remis à | échec de la remise pour ces destinataires | la remise a échoué pour ces destinataires | votre courrier n'a pas pu être | impossible de remettre votre message
Spanish: no se pudo entregar su mensaje | no se pudo entregar el mensaje | no se ha podido entregar su mensaje | su mensaje no se pudo entregar | su mensaje no se ha podido entregar | su mensaje no ha podido ser entregado | tu mensaje no se ha entregado | tu mensaje no se ha podido entregar | error de entrega a estos destinatarios
Italian: il messaggio non è stato recapitato | il messaggio non è stato consegnato | il tuo messaggio non è stato recapitato | il suo messaggio non è stato recapitato | il messaggio inviato a … non è stato recapitato | impossibile recapitare il messaggio | recapito non riuscito per i seguenti destinatari
Portuguese: a sua mensagem não foi entregue | sua mensagem não foi entregue | sua mensagem não pôde ser entregue | a sua mensagem não pôde ser entregue | não foi possível entregar a mensagem | não foi possível entregar a sua mensagem | não foi possível entregar sua mensagem | falha na entrega a estes destinatários
Dutch: uw bericht kon niet worden | uw bericht kan niet worden bezorgd | uw bericht is niet bezorgd | je bericht is niet bezorgd | uw bericht aan … kan niet worden | uw bericht is niet afgeleverd | bezorging aan deze geadresseerden | kan niet worden bezorgd bij de volgende
Swedish: ditt meddelande kunde inte levereras | ditt meddelande till … kunde inte levereras | meddelandet kunde inte levereras | ditt meddelande har inte levererats | det gick inte att leverera ditt meddelande
Danish, Norwegian: din meddelelse kunne ikke leveres | din meddelelse til … kunne ikke leveres | meddelelsen kunne ikke leveres | din besked blev ikke leveret | meldingen din kunne ikke leveres | meldingen kunne ikke leveres | meldingen til … kunne ikke leveres | meldingen din ble ikke levert
Finnish: viestiäsi ei voitu toimittaa | viestiä ei voitu toimittaa | viestisi toimitus epäonnistui | viestin toimittaminen seuraaville
Polish: twoja wiadomość nie została dostarczona | nie można dostarczyć wiadomości | nie udało się dostarczyć wiadomości | wiadomość nie mogła zostać dostarczona | wiadomość do … nie mogła zostać dostarczona | nie można było dostarczyć wiadomości
Czech: vaši zprávu se nepodařilo doručit | vaši zprávu nebylo možné doručit | vaše zpráva nebyla doručena | zprávu se nepodařilo doručit | zprávu nelze doručit
Slovak: vašu správu sa nepodarilo doručiť | vašu správu nebolo možné doručiť | vaša správa nebola doručená | správu sa nepodarilo doručiť
Hungarian: az üzenetet nem sikerült kézbesíteni | üzenetét nem sikerült kézbesíteni | az üzenet kézbesítése sikertelen | az ön üzenetét nem lehetett kézbesíteni | az üzenet nem kézbesíthető
Romanian: mesajul dvs. nu a putut fi livrat | mesajul dumneavoastră nu a putut fi livrat | mesajul tău nu a fost livrat | mesajul nu a putut fi livrat | livrarea mesajului a eșuat
Russian: ваше сообщение не доставлено | ваше сообщение не было доставлено | ваше сообщение не может быть доставлено | ваше письмо не было доставлено | ваше письмо не может быть отправлено | ваше письмо не может быть доставлено | ваше письмо не доставлено | не удалось доставить ваше | не удалось доставить сообщение | не удается доставить сообщение | сообщение, отправленное вами, не может быть
Ukrainian: ваше повідомлення не доставлено | ваше повідомлення не було доставлено | не вдалося доставити ваше | не вдалося доставити повідомлення | ваш лист не було доставлено | ваш лист не може бути доставлено
Bulgarian: вашето съобщение не беше доставено | вашето съобщение не може да бъде доставено | съобщението ви не може да бъде доставено | съобщението не може да бъде доставено
Greek: το μήνυμά σας δεν παραδόθηκε | το μήνυμά σας δεν ήταν δυνατό να παραδοθεί | δεν ήταν δυνατή η παράδοση του μηνύματος | η παράδοση απέτυχε
Turkish: iletiniz teslim edilemedi | mesajınız teslim edilemedi | mesajınız iletilemedi | e-postanız teslim edilemedi | iletiniz şu alıcılara
Hebrew: ההודעה שלך לא נמסרה | הודעתך לא נמסרה | לא ניתן היה למסור את ההודעה | מסירת ההודעה נכשלה
Arabic: تعذر تسليم رسالتك | لم يتم تسليم رسالتك | تعذر تسليم الرسالة | فشل تسليم الرسالة
Japanese: メッセージを配信できませんでした | メールを配信できませんでした | 配信できませんでした | メールは送信できませんでした | 送信先に届きませんでした | への送信に失敗しました | 配信に失敗しました | お送りしたメールは届き | メッセージは配信されませんでした
Chinese: 您的邮件无法送达 | 您的邮件无法投递 | 邮件无法投递 | 您的邮件被退回 | 你的邮件被退回 | 您发送的邮件被退回 | 无法将邮件传递给 | 无法传递您的邮件 | 抱歉，您的邮件 | 未能传递到以下收件人 | 您的郵件無法傳遞 | 您的郵件無法送達 | 郵件無法傳遞 | 您的郵件被退回 | 無法將郵件傳遞給 | 您的訊息無法傳遞 | 無法傳遞至下列收件者
Korean: 메시지를 배달할 수 없습니다 | 메시지가 배달되지 않았습니다 | 메시지를 전송할 수 없습니다 | 메일이 전송되지 않았습니다 | 메일을 전송하지 못했습니다 | 메일이 반송되었습니다
Indonesian: pesan anda tidak terkirim | pesan anda tidak dapat dikirim | pesan anda tidak dapat terkirim | email anda tidak terkirim | email anda tidak dapat dikirim | pesan anda ke … tidak dapat
Vietnamese: thư của bạn không được gửi | không thể gửi thư của bạn | thư của bạn không thể được gửi | tin nhắn của bạn không được gửi | email của bạn không thể gửi";

/// Words of a report about a hole: whoever writes them is no robot, or is not to be suspected.
const REPORT_TABLE: &str = "
any: attacker | attackers | exploit | exploited | exploitable | exploitation | proof of concept | poc | payload | xss | csrf | ssrf | rce | sqli | cve | cvss | cwe | overflow | use-after-free | out-of-bounds | out of bounds | injection | backtrace | stack trace | segfault | crash | crashes | crashed | asan | fuzzer | fuzzing | steps to reproduce | to reproduce | vulnerability in | vulnerabilities in | vulnerable to | bypass | memory leak | schwachstelle in | sicherheitslücke in | angreifer | pufferüberlauf | absturz | reproduzieren | vulnérabilité dans | faille dans | faille de sécurité dans | attaquant | vulnerabilidad en | atacante
any: vulnerabilità in | attaccante | vulnerabilidade em | vulnerabilidade no | invasor | kwetsbaarheid in | aanvaller | sårbarhet i | angripare | angriber | angriper | sårbarhed i | haavoittuvuus | hyökkääjä | podatność w | atakujący | zranitelnost v | útočník | zraniteľnosť v | sérülékenység | támadó | vulnerabilitate în | atacator | уязвимость в | уязвимости в | злоумышленник | вразливість у | вразливість в | зловмисник | уязвимост в | нападател | ευπάθεια | επιτιθέμενος | güvenlik açığı | saldırgan | פגיעות | תוקף | ثغرة | مهاجم | 脆弱性 | 攻撃者 | 漏洞 | 攻击者 | 攻擊者 | 취약점 | 공격자 | kerentanan | penyerang | lỗ hổng | kẻ tấn công";

/// Before a phrase they make it a case that is only thought of.
const THOUGHT_OF_TABLE: &str = "
any: if | when | whenever | says | saying | said | that | whether | wenn | falls | dass | ob | lorsque | quand | si | que | cuando | quando | se | als | dat | när | hvis | når | jos | jeśli | gdy | když | pokud | ak | ha | dacă | если | когда | что | якщо | ако | αν | όταν";

/// Answers and forwarded mails, which people send.
const ANSWERS_TABLE: &str = "
any: re | aw | antw | antwort | sv | vs | vá | odp | ref | rif | res | ynt | fw | fwd | wg | tr | rv | enc | vb | vl | doorst | pd | i | r | ilt | továbbítás | ha | на | отв | відп | απ | σχετ | 回复 | 答复 | 回覆 | 转发 | 轉寄 | 返信 | 転送 | השב | הועבר | رد | 답장 | 전달";

/// Signs that count as the first of their group.
const ALIKE: &str = "\
aàáâãäåāăąǎạảấầẩẫậắằẳẵặ cçćčĉ dďđ eèéêëēėęěẹẻẽếềểễệ gğģ iìíîïĩīįıỉị lłľĺ nñńň oòóôõöøōőơọỏốồổỗộớờởỡợ rŕř sśşšș tťţț uùúûüũūůűưụủứừửữự yýÿỳỵỷỹ zźżž \
αά εέ ηή ιίϊΐ οό υύϋΰ ωώ σς её ий ії اأإآ '‘’ʼ′´ \"“”„«»「」『』 -‐‑‒–—―− [【 ]】";

/// A phrase of the tables, ready to be compared.
struct Phrase {
    language: &'static str,
    words: &'static str,
    /// Before the gap, folded; all of it when there is none.
    head: String,
    tail: String,
    /// `*`, `$`, `:`, `?` or, for a phrase that follows a name, `…`.
    mark: Option<char>,
}

type Table = LazyLock<Vec<Phrase>>;

static ABSENCE_SUBJECTS: Table = LazyLock::new(|| table(ABSENCE_SUBJECTS_TABLE));
static BOUNCE_SUBJECTS: Table = LazyLock::new(|| table(BOUNCE_SUBJECTS_TABLE));
static ABSENCE_TEXTS: Table = LazyLock::new(|| table(ABSENCE_TEXTS_TABLE));
static RECEIPTS: Table = LazyLock::new(|| table(RECEIPTS_TABLE));
static BOUNCE_TEXTS: Table = LazyLock::new(|| table(BOUNCE_TEXTS_TABLE));
static REPORT: Table = LazyLock::new(|| table(REPORT_TABLE));
static THOUGHT_OF: Table = LazyLock::new(|| table(THOUGHT_OF_TABLE));
static ANSWERS: Table = LazyLock::new(|| table(ANSWERS_TABLE));

/// Judges a mail by its words; the subject goes first.
pub fn read(subject: Option<&str>, text: &str) -> Option<Found> {
    let subject = fold(subject.unwrap_or_default(), MAX_SUBJECT);
    let text = fold(&unquoted(text), MAX_TEXT);
    let report = has(&REPORT, &text);
    in_subject(&subject, report).or_else(|| if report { None } else { in_text(&subject, &text) })
}

/// The text says that a mail did not arrive. Proves nothing alone: reports quote such words.
pub fn delivery_failed(text: &str) -> bool {
    has(&BOUNCE_TEXTS, &fold(text, MAX_TEXT))
}

/// Servers give their bounces such a subject. An answer to one ("Re: Undelivered Mail") is a person's.
pub fn announces_failure(subject: &str) -> bool {
    const WITHIN: [&str; 3] = ["could not be delivered", "couldn't be delivered", "returned to sender"];
    let subject = fold(subject, MAX_SUBJECT);
    failure_announced(&subject).is_some()
        || (!is_answer(&subject) && WITHIN.iter().any(|words| subject.contains(words)))
}

fn in_subject(subject: &str, report: bool) -> Option<Found> {
    if let Some(phrase) = BOUNCE_SUBJECTS.iter().find(|phrase| phrase.begins(subject)) {
        return (!report || phrase.mark != Some('$')).then(|| phrase.found(Sort::Bounce, true));
    }
    if report {
        return None;
    }
    let absence = ABSENCE_SUBJECTS.iter().find(|phrase| phrase.begins(subject));
    let thanks = |it: &&Phrase| it.begins(subject) || (it.mark.is_none() && it.opens(subject));
    let receipt = || RECEIPTS.iter().find(thanks).map(|phrase| phrase.found(Sort::Receipt, true));
    absence.map(|phrase| phrase.found(Sort::Absence, true)).or_else(receipt)
}

fn in_text(subject: &str, text: &str) -> Option<Found> {
    if !has(&REPORT, subject) {
        let faint = failure_announced(subject).filter(|_| said(&BOUNCE_TEXTS, text, FAINT).is_some());
        if let Some(phrase) = faint {
            return Some(phrase.found(Sort::Bounce, true));
        }
        if !is_answer(subject)
            && let Some(phrase) = said(&BOUNCE_TEXTS, &start(text, BOUNCE_OPENING), None)
        {
            return Some(phrase.found(Sort::Bounce, false));
        }
    }
    if text.chars().nth(SHORT).is_some() {
        return None;
    }
    let opening = start(text, NOTE_OPENING);
    let receipt = || said(&RECEIPTS, &opening, None).map(|phrase| phrase.found(Sort::Receipt, false));
    said(&ABSENCE_TEXTS, &opening, None).map(|phrase| phrase.found(Sort::Absence, false)).or_else(receipt)
}

fn failure_announced(subject: &str) -> Option<&'static Phrase> {
    BOUNCE_SUBJECTS.iter().find(|phrase| phrase.opens(subject))
}

fn is_answer(subject: &str) -> bool {
    let marked = |rest: &str| rest.trim_start().starts_with([':', '[']);
    ANSWERS.iter().any(|phrase| phrase.rest(subject).is_some_and(marked))
}

/// A phrase of the table is in the text, whoever says it.
fn has(table: &'static Table, text: &str) -> bool {
    table.iter().any(|phrase| phrase.stands(text, |_| true))
}

/// The first phrase of the table that the text says of itself: not in quotation marks, and not as a mere case.
fn said(table: &'static Table, text: &str, mark: Option<char>) -> Option<&'static Phrase> {
    let of_itself = |before: &str| {
        let last = before.split_whitespace().next_back().unwrap_or_default();
        !before.trim_end().ends_with(['"', '\'', '`']) && !THOUGHT_OF.iter().any(|word| word.head == last)
    };
    let wanted = |phrase: &&Phrase| phrase.mark.is_none() || phrase.mark == mark;
    table.iter().filter(wanted).find(|phrase| phrase.stands(text, of_itself))
}

impl Phrase {
    fn found(&self, sort: Sort, in_subject: bool) -> Found {
        Found { sort, language: self.language, words: self.words, in_subject }
    }

    /// The subject begins with it, and goes on as the mark allows.
    fn begins(&self, subject: &str) -> bool {
        match self.mark {
            Some('*') => self.opens(subject),
            Some('…') => self.follows_a_name(subject),
            FAINT => false,
            Some('$') => self.rest(subject).is_some_and(|rest| rest.chars().all(|c| ".! ".contains(c))),
            _ => self.rest(subject).is_some_and(is_separated),
        }
    }

    /// The subject begins with it, anything may follow, but it ends a word.
    fn opens(&self, subject: &str) -> bool {
        self.mark != Some('…') && self.rest(subject).is_some_and(|rest| self.is_apart("", rest))
    }

    /// No word reaches over its ends.
    fn is_apart(&self, before: &str, after: &str) -> bool {
        !joined(before.chars().next_back(), self.head.chars().next())
            && !joined(self.head.chars().next_back(), after.chars().next())
    }

    fn rest<'a>(&self, subject: &'a str) -> Option<&'a str> {
        let rest = subject.strip_prefix(self.head.as_str())?;
        if self.tail.is_empty() { Some(rest) } else { rest.split_once(self.tail.as_str()).map(|it| it.1) }
    }

    /// "AUTO: Ada Byron is out of the office", or without AUTO if a bracket or full stop follows.
    fn follows_a_name(&self, subject: &str) -> bool {
        let auto = subject.strip_prefix("auto:");
        auto.unwrap_or(subject).split_once(self.head.as_str()).is_some_and(|(name, rest)| {
            let named = (1..=4).contains(&name.split_whitespace().count()) && !name.contains([':', '"']);
            let ended =
                if auto.is_some() { is_separated(rest) } else { rest.trim_start().starts_with(['(', '.']) };
            named && ended && self.is_apart(name, rest)
        })
    }

    /// It is in the text, in whole words, after something that passes.
    fn stands(&self, text: &str, passes: impl Fn(&str) -> bool) -> bool {
        let mut before: Option<&str> = None;
        text.split(self.head.as_str()).any(|after| {
            let Some(before) = before.replace(after) else { return false };
            let complete = || self.tail.is_empty() || start(after, GAP).contains(&self.tail);
            self.is_apart(before, after) && passes(before) && complete()
        })
    }
}

fn table(lines: &'static str) -> Vec<Phrase> {
    let lines = lines.lines().filter_map(|line| line.split_once(": "));
    lines.flat_map(|(language, words)| words.split(" | ").map(move |words| phrase(language, words))).collect()
}

fn phrase(language: &'static str, words: &'static str) -> Phrase {
    let end = words.chars().next_back().filter(|c| "*$:?".contains(*c));
    let mark = end.or_else(|| words.chars().next().filter(|c| *c == '…'));
    let bare = words.trim_end_matches(['*', '$', ':', '?']).trim_start_matches("… ");
    let (head, tail) = bare.split_once(" … ").unwrap_or((bare, ""));
    Phrase { language, words, head: fold(head, MAX_SUBJECT), tail: fold(tail, MAX_SUBJECT), mark }
}

/// A label ends here: a colon, a dash, a bracket, but no further word.
fn is_separated(rest: &str) -> bool {
    rest.starts_with(" - ") || rest.trim_start().chars().next().is_none_or(|c| ":([].,;!|/。、\"".contains(c))
}

/// Both are letters of one word, in a script that puts spaces between words.
fn joined(one: Option<char>, other: Option<char>) -> bool {
    let spaced =
        |c: char| c.is_alphanumeric() && !matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3040}'..='\u{d7a3}');
    one.is_some_and(spaced) && other.is_some_and(spaced)
}

fn start(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

/// The text above the mail it answers to.
fn unquoted(text: &str) -> String {
    let original = |line: &str| line.trim_start_matches(['-', ' ']).starts_with("Original Message-");
    let quotes = |line: &&str| line.trim_start().starts_with('>') || original(line);
    start(text, MAX_TEXT).lines().take_while(|line| !quotes(line)).flat_map(|line| [line, "\n"]).collect()
}

/// Without case, accents, typography and superfluous space: as phrases are compared.
fn fold(text: &str, limit: usize) -> String {
    let mut folded = String::new();
    for c in text.chars().take(limit).flat_map(char::to_lowercase).filter(|c| !is_mark(*c)) {
        match plain(c) {
            'ß' => folded.push_str("ss"),
            ' ' if folded.is_empty() || folded.ends_with(' ') => {}
            c => folded.push(c),
        }
    }
    folded.trim_end().to_owned()
}

/// Accents that stand alone, vowel signs, and what is not seen.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c7}')
        || matches!(c, '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{ad}' | '\u{fe0f}' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || (c.is_control() && !c.is_whitespace())
}

/// The letter without its accent, the sign without its typography.
fn plain(c: char) -> char {
    match c {
        _ if c.is_whitespace() => ' ',
        _ if c.is_ascii() => c,
        // full-width ASCII
        '\u{ff01}'..='\u{ff5e}' => u32::from(c).checked_sub(0xfee0).and_then(char::from_u32).unwrap_or(c),
        '\u{3040}'..='\u{fe00}' => c,
        _ => ALIKE.split(' ').find(|group| group.contains(c)).and_then(|it| it.chars().next()).unwrap_or(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// (language, sort, subject, text)
    #[rustfmt::skip]
    const MACHINES: &[(&str, Sort, &str, &str)] = &[
        ("English", Sort::Absence, "Automatic reply: [#12] Heap overflow", "I am away."),
        ("English", Sort::Absence, "Out of Office AutoReply: hello", ""),
        ("English", Sort::Absence, "AUTO: Ada Byron is out of the office (returning 04/03/2026)", ""),
        ("English", Sort::Absence, "Re: hello", "Hi,\n\nI\u{2019}m currently out of the\u{a0}office and back on Monday."),
        ("English", Sort::Absence, "hello", "Bob has left the company. Please write to sales@example.net."),
        ("English", Sort::Absence, "hello", "This mailbox is no longer monitored."),
        ("English", Sort::Absence, "hello", "I am on parental leave until May."),
        ("English", Sort::Absence, "away from my mail", "I will not be reading my mail for a while."),
        ("English", Sort::Receipt, "[Ticket 812] hello", "Dear customer,\nwe have received your request. Your ticket number is 812."),
        ("English", Sort::Receipt, "Thank you for contacting Example support", ""),
        ("English", Sort::Bounce, "Undelivered Mail Returned to Sender", ""),
        ("English", Sort::Bounce, "hello", "This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message to the following addresses."),
        ("German", Sort::Absence, "Automatische Antwort: Pufferüberlauf", ""),
        ("German", Sort::Absence, "Ada Byron/Example/DE ist außer Haus.", ""),
        ("German", Sort::Absence, "AW: hallo", "Guten Tag, ich bin ab dem 3. Mai wieder im Büro."),
        ("German", Sort::Receipt, "hallo", "Ihre Anfrage wurde unter der Nummer 12 registriert."),
        ("German", Sort::Bounce, "Unzustellbar: hallo", ""),
        ("French", Sort::Absence, "Réponse automatique\u{a0}: bonjour", ""),
        ("French", Sort::Absence, "bonjour", "Bonjour, je suis actuellement en congés jusqu’au 3 mai."),
        ("French", Sort::Bounce, "Non remis : bonjour", ""),
        ("Spanish", Sort::Absence, "Respuesta automatica: hola", ""),
        ("Spanish", Sort::Absence, "hola", "Hola: estoy de vacaciones hasta el lunes."),
        ("Spanish", Sort::Bounce, "No se puede entregar: hola", ""),
        ("Italian", Sort::Absence, "Risposta automatica: ciao", ""),
        ("Italian", Sort::Bounce, "ciao", "Il messaggio non è stato recapitato ai seguenti destinatari."),
        ("Portuguese", Sort::Absence, "Resposta automática: olá", ""),
        ("Portuguese", Sort::Absence, "olá", "Estou de férias até 3 de maio."),
        ("Dutch", Sort::Absence, "Automatisch antwoord: hallo", ""),
        ("Dutch", Sort::Receipt, "hallo", "Wij hebben uw e-mail ontvangen."),
        ("Swedish", Sort::Absence, "Automatiskt svar: hej", ""),
        ("Swedish", Sort::Absence, "hej", "Hej, jag är på semester till måndag."),
        ("Swedish", Sort::Absence, "Autosvar: hej", ""),
        ("Danish, Norwegian", Sort::Absence, "Automatisk svar: hej", ""),
        ("Danish, Norwegian", Sort::Absence, "hej", "Jeg holder ferie frem til mandag."),
        ("Danish, Norwegian", Sort::Bounce, "hei", "Meldingen til ada@example.no kunne ikke leveres."),
        ("Danish, Norwegian", Sort::Absence, "hei", "Jeg er i foreldrepermisjon."),
        ("Finnish", Sort::Absence, "Automaattinen vastaus: moi", ""),
        ("Finnish", Sort::Absence, "moi", "Olen kesälomalla 3.8. asti."),
        ("Polish", Sort::Absence, "Odpowiedź automatyczna: test", ""),
        ("Polish", Sort::Bounce, "Niedostarczalne: test", ""),
        ("Czech, Slovak", Sort::Absence, "Automatická odpověď: test", ""),
        ("Czech", Sort::Absence, "test", "Dobrý den, jsem na dovolené do pondělí."),
        ("Czech, Slovak", Sort::Bounce, "Nedoručitelné: test", ""),
        ("Czech, Slovak", Sort::Absence, "Automatická odpoveď: test", ""),
        ("Slovak", Sort::Absence, "test", "Dobrý deň, som na dovolenke."),
        ("Czech, Slovak", Sort::Bounce, "Nedoručiteľné: test", ""),
        ("Hungarian", Sort::Absence, "Automatikus válasz: teszt", ""),
        ("Hungarian", Sort::Absence, "teszt", "Jelenleg szabadságon vagyok."),
        ("Romanian", Sort::Absence, "Răspuns automat: test", ""),
        ("Romanian", Sort::Bounce, "test", "Mesajul dvs. nu a putut fi livrat."),
        ("Russian", Sort::Absence, "Автоматический ответ: тест", ""),
        ("Russian", Sort::Bounce, "Недоставленное сообщение", "Это письмо отправлено почтовым сервером."),
        ("Ukrainian", Sort::Absence, "Автоматична відповідь: тест", ""),
        ("Ukrainian", Sort::Absence, "тест", "Вітаю, я у відпустці до понеділка."),
        ("Bulgarian", Sort::Absence, "Автоматичен отговор: тест", ""),
        ("Bulgarian", Sort::Absence, "тест", "Здравейте, в отпуск съм до понеделник."),
        ("Greek", Sort::Absence, "ΑΥΤΟΜΑΤΗ ΑΠΑΝΤΗΣΗ: γεια", ""),
        ("Greek", Sort::Absence, "γεια", "Βρίσκομαι εκτός γραφείου μέχρι τη Δευτέρα."),
        ("Turkish", Sort::Absence, "Otomatik Yanıt: merhaba", ""),
        ("Turkish", Sort::Absence, "merhaba", "Merhaba, İZİNDEYİM."),
        ("Hebrew", Sort::Absence, "תשובה אוטומטית: שלום", ""),
        ("Hebrew", Sort::Absence, "שלום", "שלום, אני בחופשה עד יום שני."),
        ("Arabic", Sort::Absence, "رد تلقائي: مرحبا", ""),
        ("Arabic", Sort::Absence, "مرحبا", "مرحبا، أنا في إجازة حتى الاثنين."),
        ("Japanese", Sort::Absence, "自動応答: テスト", ""),
        ("Japanese", Sort::Absence, "【自動返信】テスト", ""),
        ("Japanese", Sort::Receipt, "テスト", "お問い合わせを受け付けました。"),
        ("Chinese", Sort::Absence, "自动答复: 测试", ""),
        ("Chinese", Sort::Absence, "自動回覆： 測試", ""),
        ("Chinese", Sort::Bounce, "未送达: 测试", ""),
        ("Korean", Sort::Absence, "자동 회신: 안녕", ""),
        ("Korean", Sort::Absence, "안녕", "현재 휴가 중입니다."),
        ("Indonesian", Sort::Absence, "Balasan otomatis: halo", ""),
        ("Indonesian", Sort::Absence, "halo", "Saya sedang cuti sampai Senin."),
        ("Vietnamese", Sort::Absence, "Trả lời tự động: xin chào", ""),
        ("Vietnamese", Sort::Absence, "xin chào", "Tôi đang nghỉ phép đến thứ Hai."),
    ];

    /// (subject, text)
    #[rustfmt::skip]
    const PEOPLE: &[(&str, &str)] = &[
        ("Undelivered frames leak memory", "The queue keeps them for ever."),
        ("Auto-reply handler crashes", "Send it a mail without From."),
        ("Automatic reply to SYN floods a third party", "One packet makes two."),
        ("Automatic replies leak internal names", "See attachment."),
        ("Out of office replies leak the calendar", "Anybody can ask for it."),
        ("Out of bounds read in the MIME parser", "A header of 70000 bytes."),
        ("Out-of-office plugin: stored XSS in the message", "The payload is in the template."),
        ("Vacation plugin allows header injection", "CRLF in the subject."),
        ("Vacation: stored script in the template", "The page shows it as it is."),
        ("Autoresponder: open relay", "It answers to any address in Reply-To."),
        ("Delivery failure crashes the daemon", "Send to a user unknown to the server."),
        ("Delivery failures disclose local paths", "The notice says \"your message could not be delivered\" and then the path."),
        ("Delivery report parser: integer truncation", "Field sizes are read as 16 bit. The server then says user unknown, and an attacker wins."),
        ("Delivery status notifications are not checked", "Forged ones are taken for real."),
        ("Mail delivery agent follows symlinks", "In /var/mail."),
        ("Returned mail reveals BCC recipients", "I can show it."),
        ("Failure notice page is open to script injection", "The address is echoed."),
        ("Bounce handling can be abused for backscatter", "The daemon says user unknown after DATA."),
        ("Bounces amplify: one mail, thousand bounces", "List expansion has no limit."),
        ("Re: Undelivered Mail Returned to Sender", "I got this: your message could not be delivered. What now?"),
        ("Re: Automatic reply: hello", "Welcome back! About the hole."),
        ("AW: Abwesenheitsnotiz: Urlaub", "Danke, dann bis Montag."),
        ("Fwd: Undelivered Mail Returned to Sender", "Your server wrote this to me. Your message could not be delivered, it says."),
        ("Abwesenheitsnotiz-Plugin XSS", "Die Notiz wird nicht maskiert."),
        ("Abwesenheitsnotiz verrät interne Adressen", "Siehe Anhang."),
        ("Urlaub: gespeichertes XSS im Urlaubsantrag", "Feld Bemerkung."),
        ("Unzustellbare Pakete füllen den Speicher", "Nach einer Stunde ist er voll."),
        ("Réponse automatique aux requêtes ARP falsifiées", "Le pare-feu répond à tout."),
        ("L'en-tête CSP est absent", "Aucune page ne l'envoie."),
        ("Respuesta automática del servidor revela la versión", "Puerto 25."),
        ("CSRF-token is afwezig", "Op elke pagina."),
        ("自動応答機能に脆弱性", "添付をご覧ください。"),
        ("自动回复插件存在漏洞", "见附件。"),
        ("Автоматический ответ сервера раскрывает версию", "Порт 25."),
        ("Hole in the login page", "When your message could not be delivered, the page shows the token of the next user."),
        ("Hole in the login page", "The banner reads \u{201c}I am out of the office\u{201d} and is not escaped."),
        ("Token in the Referer", "Steps to reproduce: log in, follow a link. I am out of the office next week, so be patient."),
        ("Stored script in notes", "If I am on vacation until Monday is the note, its HTML is run."),
        ("Anybody can read when a colleague is out of the office", "The calendar asks for no password."),
        ("Presence API leaks who is on vacation", "GET /presence."),
        ("Help desk sends tickets to strangers", "The mail \"we have received your request\" goes to any Reply-To."),
        ("Ticket numbers can be guessed", "They are counted up from 1."),
        ("No answer since May", "> we have received your request\n> your ticket number is 12\nDid you read it?"),
        ("Mailbox full of other people's mail", "IMAP shows the folders of others."),
        ("Message delivery uses weak TLS", "RC4 is offered."),
        ("Thank you for the quick fix", "It works."),
    ];

    #[test]
    fn machines_are_recognised() {
        for &(language, sort, subject, text) in MACHINES {
            let found = read(Some(subject), text).map(|found| (found.language, found.sort));
            assert_eq!(found, Some((language, sort)), "{subject} | {text}");
        }
    }

    #[test]
    fn people_are_left_alone() {
        for &(subject, text) in PEOPLE {
            assert_eq!(read(Some(subject), text), None, "{subject}");
        }
    }

    #[test]
    fn a_phrase_deep_in_the_text_or_in_a_long_one_is_no_note() {
        let note = "I am on annual leave.";
        let of = |text: String| read(None, &text).map(|found| found.sort);
        assert_eq!(of(note.to_owned()), Some(Sort::Absence));
        assert_eq!(of(format!("{} {note}", "word ".repeat(110))), None);
        assert_eq!(of(format!("{note} {}", "word ".repeat(400))), None);
    }

    #[test]
    fn every_table_has_its_languages_and_no_empty_phrase() {
        for (table, languages) in [
            (&ABSENCE_SUBJECTS, 28),
            (&ABSENCE_TEXTS, 27),
            (&RECEIPTS, 27),
            (&BOUNCE_SUBJECTS, 28),
            (&BOUNCE_TEXTS, 27),
        ] {
            let mut names: Vec<_> = table.iter().map(|phrase| phrase.language).collect();
            names.dedup();
            assert_eq!(names.len(), languages, "{names:?}");
            let mut all = HashSet::new();
            for it in table.iter() {
                assert!(all.insert((&it.head, &it.tail, it.mark)), "twice: {} in {}", it.words, it.language);
            }
            assert!(table.iter().all(|phrase| phrase.head.chars().count() > 1));
        }
    }

    /// A line of a table does not hide what stands behind it: each phrase of a subject is found, under its own sort.
    #[test]
    fn each_phrase_recognises_itself() {
        for (table, sort) in
            [(&ABSENCE_SUBJECTS, Sort::Absence), (&BOUNCE_SUBJECTS, Sort::Bounce), (&RECEIPTS, Sort::Receipt)]
        {
            for phrase in table.iter().filter(|phrase| phrase.mark != FAINT) {
                let name = if phrase.mark == Some('…') { "AUTO: Ada Byron " } else { "" };
                let subject = format!("{name}{} {}", phrase.head, phrase.tail);
                let found = read(Some(&subject), "").map(|found| found.sort);
                assert_eq!(found, Some(sort), "{subject}");
            }
        }
        for (table, sort) in [(&ABSENCE_TEXTS, Sort::Absence), (&BOUNCE_TEXTS, Sort::Bounce)] {
            for phrase in table.iter().filter(|phrase| phrase.mark != FAINT) {
                let text = format!("Ada: {} 12 {}.", phrase.head, phrase.tail);
                assert_eq!(read(Some("hello"), &text).map(|found| found.sort), Some(sort), "{text}");
            }
        }
    }

    #[test]
    fn failures() {
        for subject in [
            "Undeliverable: hello",
            "failure notice",
            "Delivery Report (failure) for ada",
            "Unzustellbar: hallo",
            "Your mail was returned to sender",
            "Mail delivery failed",
            "NON-DELIVERY report",
        ] {
            assert!(announces_failure(subject), "{subject}");
        }
        for subject in
            ["", "Re: Undelivered Mail", "Fwd: could not be delivered", "AW: returned to sender", "hello"]
        {
            assert!(!announces_failure(subject), "{subject}");
        }
        assert!(delivery_failed("550 5.1.1 <ada@example.org>: User unknown"));
        assert!(delivery_failed("Ihre Nachricht an ada@example.org konnte nicht zugestellt werden."));
        assert!(!delivery_failed("Steps: …"));
        assert!(!delivery_failed(""));
    }

    #[test]
    fn accents_may_be_written_apart_or_left_out() {
        for subject in
            ["Re\u{301}ponse automatique : x", "Reponse automatique: x", "\u{200f}Réponse automatique: x"]
        {
            assert!(read(Some(subject), "").is_some(), "{subject:?}");
        }
    }

    proptest! {
        #[test]
        fn anything_can_be_read(subject in "\\PC{0,400}", text in "(?s).{0,2500}") {
            let _ = read(Some(&subject), &text);
            let _ = (delivery_failed(&text), announces_failure(&subject));
        }

        #[test]
        fn what_lies_beyond_the_bounds_does_not_matter(tail in "(?s).{0,300}") {
            let text = "word ".repeat(400);
            let subject = "x".repeat(300);
            prop_assert_eq!(read(Some(&format!("{subject}{tail}")), &format!("{text}{tail}")), read(Some(&subject), &text));
        }
    }
}
