import type { Script } from '../script.js';

export const spanish: readonly Script[] = [
  {
    about: 'work',
    lines: `
A: {Buenos días|Hola} {B}, ¿pudiste mirar {cosa}?
B: Sí, justo ahora. {opinion}
A: ¿Crees que llegamos para el {date+3}?
B: Si {condicion}, sí. Si no, lo dejaría para la semana que viene.
A: De acuerdo. Yo me encargo de eso y te aviso {hoy por la tarde|mañana a primera hora}.
~ 5h
A: Hecho. {hecho}
B: ¡Genial! Entonces confirmado para el {date+3}. 🙌
`,
    variants: [
      {
        cosa: 'la propuesta para Casa Verde',
        opinion: 'Está muy bien, pero el precio del segundo año no queda claro.',
        condicion: 'legal la revisa antes del miércoles',
        hecho: 'Legal la tiene y promete respuesta mañana.',
      },
      {
        cosa: 'el informe de ventas',
        opinion: 'Los números cuadran, menos los de México, que salen dobles.',
        condicion: 'el equipo de datos corrige la consulta',
        hecho: 'Encontraron el error: sumaba dos veces las devoluciones.',
      },
      {
        cosa: 'la traducción de la página de precios',
        opinion: 'Solo cambiaría «sillas» por «usuarios», aquí nadie habla de sillas.',
        condicion: 'Chloé nos pasa la última sección',
        hecho: 'Ya llegó la última sección, son 200 palabras.',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: Te resumo la reunión con {cliente}:⏎⏎- Quieren empezar en {mes} con {n} personas.⏎- Les preocupa {duda}.⏎- Piden una demostración en español.⏎⏎Les dije que les contestamos antes del {date+4}.
B: Perfecto, gracias. ¿Quién hace la demostración?
A: {¿Podrías tú?|Había pensado en ti.} Yo llevo la parte comercial.
B: Vale, pero que no sea un lunes. ¿Qué tal el {day+3} a las {hora}?
A: Se lo propongo ahora mismo.
~ 2h
A: Les va bien. Invitación enviada. 📅
`,
    variants: [
      {
        cliente: 'Transportes Ibarra',
        mes: 'enero',
        n: '85',
        duda: 'que los conductores no tengan buena cobertura',
        hora: '11:00',
      },
      {
        cliente: 'la Universidad del Sur',
        mes: 'marzo',
        n: '900',
        duda: 'la protección de datos de los alumnos',
        hora: '16:30',
      },
      {
        cliente: 'Clínica Santa Rosa',
        mes: 'febrero',
        n: '40',
        duda: 'si pueden borrar mensajes de forma definitiva',
        hora: '10:00',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: Oye, no me funciona {que}. ¿A ti sí?
B: A mí tampoco desde {desde}. {causa}
A: ¿Ya lo sabe alguien?
B: Noah está en ello. Dice que en {tiempo} vuelve.
A: Bueno, pues café. ☕
~ 35m
B: Ya funciona. {fin}
A: Confirmado, aquí también. ¡Gracias!
`,
    variants: [
      {
        que: 'la VPN',
        desde: 'las nueve y media',
        causa: 'Caducó un certificado anoche.',
        tiempo: 'media hora',
        fin: 'Han puesto una alarma para que no vuelva a caducar sin avisar.',
      },
      {
        que: 'el correo',
        desde: 'hace un rato',
        causa: 'Parece que el proveedor tiene una avería.',
        tiempo: 'una hora, más o menos',
        fin: 'Los mensajes atrasados van entrando poco a poco.',
      },
      {
        que: 'el panel de ventas',
        desde: 'ayer',
        causa: 'La carga de datos de la noche falló.',
        tiempo: 'veinte minutos',
        fin: 'Los datos de ayer llegan a mediodía.',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: {¿Qué tal?|¿Cómo andas?} ¿Sigue en pie lo {plan}?
B: ¡Claro que sí! ¿A qué hora quedamos?
A: A las {hora}, {sitio}.
B: Perfecto. Llevo {llevo}.
A: Y yo {yo}. Ah, y Pablo no puede, está con gripe.
B: Pobre. Le guardamos un poco. 🤧
~ sun
A: Qué bien lo pasamos. {recuerdo}
B: {Hay que repetirlo pronto.|El mes que viene, en mi casa.} ❤️
`,
    variants: [
      {
        plan: 'de la paella del domingo',
        hora: 'dos',
        sitio: 'en casa de mi hermana',
        llevo: 'el vino y el postre',
        yo: 'la paellera grande',
        recuerdo: 'Todavía me río de lo del perro y el pan.',
      },
      {
        plan: 'del partido del sábado',
        hora: 'ocho y media',
        sitio: 'en el bar de Manolo',
        llevo: 'la bufanda de la suerte',
        yo: 'los nervios',
        recuerdo: 'Ese gol en el noventa y tres no se me olvida en la vida.',
      },
      {
        plan: 'de la excursión',
        hora: 'nueve',
        sitio: 'en la estación',
        llevo: 'bocadillos',
        yo: 'el mapa y la crema solar',
        recuerdo: 'Nos perdimos dos veces y aun así llegamos a comer.',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: Necesito un consejo. {lio}
B: A ver, cuéntame más. ¿{pregunta}?
A: {detalle}
B: Entonces yo {consejo}.
A: Eso mismo me dijo mi madre. 😅
B: Tu madre es una mujer sabia.
~ 1d
A: Te hice caso. {resultado}
B: ¡Me alegro muchísimo! 🥳
`,
    variants: [
      {
        lio: 'Me ofrecen un trabajo en Bilbao y no sé qué hacer.',
        pregunta: 'Te apetece la ciudad o solo el sueldo',
        detalle: 'La ciudad me encanta y el equipo parece majo, pero dejo aquí a los amigos.',
        consejo: 'pediría una semana de prueba y un billete de tren para volver cada mes',
        resultado: 'Empiezo en febrero, y me pagan los trenes.',
      },
      {
        lio: 'Mi vecino toca la trompeta a las once de la noche.',
        pregunta: 'Has hablado con él con calma',
        detalle: 'No, le dejé una nota muy enfadada.',
        consejo: 'subiría con unas galletas y le propondría un horario',
        resultado: 'Toca hasta las nueve, y el jueves vamos a su concierto.',
      },
      {
        lio: 'Quiero adoptar un gato, pero viajo mucho.',
        pregunta: 'Tienes a alguien que lo cuide',
        detalle: 'Mi hermana vive a dos calles y está encantada.',
        consejo: 'adoptaría dos, así se hacen compañía',
        resultado: 'Se llaman Mambo y Salsa. Te mando fotos. 🐱🐱',
      },
    ],
  },
  {
    about: 'friends',
    times: 3,
    lines: `
A: {¿Un café?|¿Bajas a tomar algo?|¿Comemos juntos?}
B: {Dame diez minutos.|Voy.|Hoy no puedo, ¿mañana?}
A: {Te espero abajo.|Vale, sin prisa.|Hecho.} 😊
`,
  },
  {
    about: 'friends',
    lines: `
A: ¿Me pasas la receta de {plato}? Viene {quien} y quiero quedar bien.
B: Apunta: {uno}
B: {dos}
A: ¿Y cuánto tiempo?
B: {tiempo} Y no le pongas {no}, por favor te lo pido.
A: Jamás se me ocurriría. 👀
~ 6h
A: Le puse {no}.
B: No me hables. 😂
`,
    variants: [
      {
        plato: 'la tortilla',
        quien: 'mi suegra',
        uno: 'seis huevos, medio kilo de patatas, una cebolla y mucho aceite.',
        dos: 'Pochas las patatas con la cebolla a fuego lento, escurres, mezclas con el huevo y dejas reposar.',
        tiempo: 'Veinticinco minutos las patatas, tres por cada lado la tortilla.',
        no: 'queso',
      },
      {
        plato: 'tus tacos al pastor',
        quien: 'todo el equipo',
        uno: 'carne de cerdo, chile guajillo, achiote, piña y vinagre.',
        dos: 'La carne se marina desde la noche anterior y se asa bien caliente.',
        tiempo: 'Una noche de marinado y quince minutos de sartén.',
        no: 'queso amarillo',
      },
    ],
  },
  {
    about: 'circle',
    lines: `
A: ¡Familia! Hay que decidir {que}. Opciones: 1) {uno}, 2) {dos}.
B: Yo voto por la 2.
C: La 2, pero no en {no}.
D?: A mí me da igual mientras haya {haya}.
A: Pues queda decidido: {dos}. Reservo para el {sat}. ¿Cuántos somos?
B: Nosotros dos.
C: Yo {C:solo/sola}, que trabaja todo el mundo.
~ 2h
A: Reservado. Son {precio} euros por persona, me hacéis un Bizum antes del {date+4}. 🙏
`,
    variants: [
      {
        que: 'dónde hacemos la cena de Navidad',
        uno: 'en mi casa',
        dos: 'en el restaurante del puerto',
        no: 'la terraza, que hace frío',
        haya: 'croquetas',
        precio: '38',
      },
      {
        que: 'el destino del puente',
        uno: 'Cádiz',
        dos: 'una casa rural en Asturias',
        no: 'una sin calefacción',
        haya: 'sidra',
        precio: '95',
      },
      {
        que: 'el regalo de los abuelos',
        uno: 'una cafetera',
        dos: 'un viaje en tren con comida',
        no: 'domingo',
        haya: 'foto de todos',
        precio: '30',
      },
    ],
  },
  {
    about: 'circle',
    lines: `
A: ¿Alguien sabe {pregunta}?
B: {respuesta}
C: Ojo, que {ojo}.
A: ¡Gracias! Menos mal que pregunté. 😮‍💨
D?: Yo iba a preguntar lo mismo.
`,
    variants: [
      {
        pregunta: 'cómo se pide cita para renovar el pasaporte',
        respuesta: 'Por internet, salen huecos los lunes a las nueve en punto.',
        ojo: 'hay que llevar la foto impresa, no vale en el móvil',
      },
      {
        pregunta: 'de un buen dentista que no me arruine',
        respuesta: 'La mía, doctora Salas. Limpieza a 45 y no te vende nada.',
        ojo: 'en diciembre cierra dos semanas',
      },
      {
        pregunta: 'si mañana hay huelga de metro',
        respuesta: 'Sí, con servicios mínimos del 60 %.',
        ojo: 'por la tarde paran de cinco a nueve',
      },
    ],
  },
  {
    about: 'circle',
    times: 3,
    lines: `
A: {Buenos días, grupo|Feliz lunes (si es que existe)} ☀️
B: {Buenos días, aquí lloviendo a mares. 🌧️|Hola, hola. Aquí treinta grados en pleno noviembre.}
C: {Yo aún no soy persona hasta el segundo café.|¡Ánimo, que ya queda menos para el viernes!}
`,
  },
];
